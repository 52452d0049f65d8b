"""The pages a payer sees: the card form, the bank's or wallet's question, and what came of it.

They stand for pages of Stripe and of banks, so they share nothing with the marketplace's own. Plain HTML
without scripts; the policy header also lets forms lead back to the shop, because browsers apply it to the
redirect after one.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode, urlsplit

import segno
from flask import Blueprint, Response, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from marketplace.core.clock import SHANGHAI
from marketplace.core.money import format_yuan
from marketplace.payments.stripe_emulator import intents, sessions
from marketplace.payments.stripe_emulator.card_form import means_typed
from marketplace.payments.stripe_emulator.cards import CARDS, WALLETS
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, StripeFault
from marketplace.payments.stripe_emulator.texts import TEXTS

bp = Blueprint("pages", __name__, url_prefix="/c")
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none';"
    " form-action 'self' "
)


@bp.get("/pay/<key>")
def show_payment(key: str) -> AnyResponse:
    """The payment page, or what became of it."""
    emulator = _emulator()
    with emulator.store.lock:
        try:
            session = sessions.current(emulator, key)
        except StripeFault:
            return _notice("unknown", 404, None)
        if session["status"] != "open":
            return _ended(session)
        intent = emulator.store.find("payment_intent", session["payment_intent"] or "")
        error = (intent["last_payment_error"] or {}).get("code") if intent else None
        return _payment_page(session, error=error)


@bp.post("/pay/<key>")
def pay(key: str) -> AnyResponse:
    """One attempt to pay. A second press of the button finds the session complete and changes nothing."""
    emulator = _emulator()
    with emulator.store.lock:
        try:
            session = sessions.current(emulator, key)
        except StripeFault:
            return _notice("unknown", 404, None)
        if session["status"] != "open":
            complete = session["status"] == "complete"
            return redirect(_success_url(session), 303) if complete else _ended(session)
        means, mistakes = means_typed(request.form, session["payment_method_types"], emulator.now())
        if means is None:
            return _payment_page(session, mistakes=mistakes, status=422)
        intent = sessions.pay(emulator, session, means)
        if intent["status"] == "succeeded":
            return redirect(_success_url(session), 303)
        if intent["status"] == "requires_action":
            return redirect(f"/c/authorize/{intent['id']}?lang={_language(session)}", 303)
        return _payment_page(session, error=intent["last_payment_error"]["code"], status=402)


@bp.get("/authorize/<key>")
def show_question(key: str) -> AnyResponse:
    """What a bank (3-D Secure) or a wallet would show: confirm or give up."""
    emulator = _emulator()
    with emulator.store.lock:
        intent = emulator.store.find("payment_intent", key)
        if intent is None:
            return _notice("unknown", 404, None)
        if intent["status"] != "requires_action":
            return redirect(_way_back(emulator, intent), 303)
        session = emulator.store.find("checkout.session", intent["_session"] or "")
        kind = intent["_means"]["type"]
        scan = segno.make(request.url, micro=False).svg_data_uri(scale=4) if kind in WALLETS else None
        page = render_template(
            "authorize.html",
            kind=kind,
            amount=_shown_amount(intent["amount"], intent["currency"]),
            scan=scan,
            **frame_of(session),
        )
        return html_page(page, 200, session, intent["_return_url"])


@bp.post("/authorize/<key>")
def answer_question(key: str) -> AnyResponse:
    """The payer's answer; then back to the shop, or to the payment page."""
    emulator = _emulator()
    with emulator.store.lock:
        intent = emulator.store.find("payment_intent", key)
        if intent is None:
            return _notice("unknown", 404, None)
        session = emulator.store.find("checkout.session", intent["_session"] or "")
        if session is not None:
            sessions.current(emulator, session["id"])
        intents.authorize(emulator, intent, agreed=request.form.get("answer") == "agree")
        sessions.complete_if_paid(emulator, intent)
        return redirect(_way_back(emulator, intent), 303)


def _emulator() -> Emulator:
    emulator = current_app.extensions["emulator"]
    assert isinstance(emulator, Emulator)
    return emulator


def _payment_page(
    session: Json, *, error: str | None = None, mistakes: dict[str, str] | None = None, status: int = 200
) -> Response:
    until = datetime.fromtimestamp(session["expires_at"], SHANGHAI)
    page = render_template(
        "pay.html",
        session=session,
        cards=CARDS,
        amount=_shown_amount(session["amount_total"], session["currency"]),
        amounts=[_shown_amount(line["amount_total"], line["currency"]) for line in session["_lines"]],
        until=f"{until:%Y-%m-%d %H:%M}",
        error=error,
        mistakes=mistakes or {},
        typed=request.form,
        **frame_of(session),
    )
    return html_page(page, status, session)


def _ended(session: Json) -> Response:
    if session["status"] == "complete":
        return _notice("paid", 200, session, _success_url(session))
    return _notice("expired", 410, session, session["cancel_url"])


def _notice(kind: str, status: int, session: Json | None, link: str | None = None) -> Response:
    return html_page(
        render_template("notice.html", kind=kind, link=link, **frame_of(session)), status, session
    )


def frame_of(session: Json | None) -> Json:
    """What every page needs: its language and the words of it."""
    language = _language(session)
    return {"language": language, "other": "en" if language == "zh" else "zh", "words": TEXTS[language]}


def _language(session: Json | None) -> str:
    for wish in (request.args.get("lang"), (session or {}).get("locale")):
        if wish and wish[:2] in TEXTS:
            return wish[:2]
    return request.accept_languages.best_match(["zh", "en"]) or "zh"


def html_page(page: str, status: int, session: Json | None, *more_links: str | None) -> Response:
    """A page under the policy that lets its forms lead to `more_links` and back to the shop of the session."""
    links = [*more_links, *((session["success_url"], session["cancel_url"]) if session else ())]
    origins = sorted({f"{urlsplit(link).scheme}://{urlsplit(link).netloc}" for link in links if link})
    response = Response(page, status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY + " ".join(origins)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _way_back(emulator: Emulator, intent: Json) -> str:
    """Where the payer goes after the question: the shop when paid, the payment page when not."""
    session = emulator.store.find("checkout.session", intent["_session"] or "")
    paid = intent["status"] == "succeeded"
    if session is not None:
        page = f"/c/pay/{session['id']}?lang={_language(session)}"
        return _success_url(session) if paid else page
    url = str(intent["_return_url"] or "/healthz")
    answer = {"payment_intent": intent["id"], "redirect_status": "succeeded" if paid else "failed"}
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(answer)}"


def _shown_amount(amount: int, currency: str) -> str:
    sign = "¥" if currency == "cny" else f"{currency.upper()} "
    return f"{sign}{format_yuan(amount)}"
