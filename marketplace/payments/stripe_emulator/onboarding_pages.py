"""The page on which a seller fills in what its account wants. It stands for the provider's own."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from marketplace.payments.stripe_emulator import connect
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json
from marketplace.payments.stripe_emulator.pages import frame_of, html_page

bp = Blueprint("onboarding", __name__, url_prefix="/c/onboarding")
OUTCOMES = ("verified", "submitted", "refused")


@bp.get("/<token>")
def show(token: str) -> AnyResponse:
    """What is wanted, or back to the shop for a new link when this one is over."""
    emulator = _emulator()
    with emulator.store.lock:
        link = connect.open_link(emulator, token)
        if link is None:
            return _over(emulator, token)
        return _page(emulator, link)


@bp.post("/<token>")
def hand_in(token: str) -> AnyResponse:
    """The details are handed in; a second press finds the link used."""
    emulator = _emulator()
    with emulator.store.lock:
        link = connect.open_link(emulator, token)
        if link is None:
            return _over(emulator, token)
        stage = request.form.get("stage", "")
        if stage in OUTCOMES:
            connect.use_link(emulator, link, stage)
        return redirect(link["_return_url"], 303)


def _page(emulator: Emulator, link: Json) -> AnyResponse:
    account = emulator.store.one("account", link["_account"])
    page = render_template(
        "onboarding.html",
        link=link,
        name=account["business_profile"]["name"],
        outcomes=OUTCOMES,
        **frame_of(None),
    )
    return html_page(page, 200, None, link["_return_url"])


def _over(emulator: Emulator, token: str) -> AnyResponse:
    """A link that was known leads back to the shop, which makes a new one; any other is not found."""
    known = emulator.store.find("account_link", token)
    if known is not None and not known["_used"]:
        return redirect(known["_refresh_url"], 303)
    back = None if known is None else known["_return_url"]
    page = render_template("notice.html", kind="link_over", link=back, **frame_of(None))
    return html_page(page, 410, None, back)


def _emulator() -> Emulator:
    emulator = current_app.extensions["emulator"]
    assert isinstance(emulator, Emulator)
    return emulator
