"""The Flask app of the emulator: the table of its API, its pages and its test controls."""

from __future__ import annotations

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from marketplace.payments.stripe_emulator import (
    balance,
    connect,
    controls,
    disputes,
    events,
    intents,
    onboarding_pages,
    pages,
    payouts,
    refunds,
    sessions,
    transfers,
)
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.gate import Endpoint, answer_call

BODY_LIMIT = 1024 * 1024
API: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/v1/checkout/sessions", sessions.create),
    ("GET", "/v1/checkout/sessions", sessions.search),
    ("GET", "/v1/checkout/sessions/<key>", sessions.retrieve),
    ("POST", "/v1/checkout/sessions/<key>/expire", sessions.expire),
    ("POST", "/v1/payment_intents", intents.create),
    ("GET", "/v1/payment_intents/<key>", intents.retrieve),
    ("POST", "/v1/payment_intents/<key>/confirm", intents.confirm),
    ("POST", "/v1/payment_intents/<key>/cancel", intents.cancel),
    ("GET", "/v1/charges/<key>", intents.retrieve_charge),
    ("POST", "/v1/refunds", refunds.create),
    ("GET", "/v1/refunds", refunds.search),
    ("GET", "/v1/refunds/<key>", refunds.retrieve),
    ("POST", "/v1/accounts", connect.create_account),
    ("GET", "/v1/accounts", connect.search_accounts),
    ("GET", "/v1/accounts/<key>", connect.retrieve_account),
    ("POST", "/v1/account_links", connect.create_link),
    ("POST", "/v1/transfers", transfers.create),
    ("GET", "/v1/transfers", transfers.search),
    ("GET", "/v1/transfers/<key>", transfers.retrieve),
    ("POST", "/v1/transfers/<key>/reversals", transfers.reverse),
    ("GET", "/v1/transfers/<key>/reversals", transfers.search_reversals),
    ("GET", "/v1/disputes", disputes.search),
    ("GET", "/v1/disputes/<key>", disputes.retrieve),
    ("POST", "/v1/disputes/<key>", disputes.update),
    ("POST", "/v1/disputes/<key>/close", disputes.close),
    ("GET", "/v1/balance_transactions", balance.search),
    ("GET", "/v1/balance_transactions/<key>", balance.retrieve),
    ("POST", "/v1/payouts", payouts.create),
    ("GET", "/v1/payouts", payouts.search),
    ("GET", "/v1/payouts/<key>", payouts.retrieve),
    ("GET", "/v1/events", events.search),
    ("GET", "/v1/events/<key>", events.retrieve),
)


def create_app(emulator: Emulator) -> Flask:
    """The WSGI app around `emulator`."""
    app = Flask(__name__, static_url_path="/c/static")
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    app.extensions["emulator"] = emulator
    for method, path, endpoint in API:
        _add_call(app, emulator, method, path, endpoint)
    app.add_url_rule("/v1/<path:rest>", "unknown", _unknown(emulator), methods=["GET", "POST", "DELETE"])
    app.register_blueprint(pages.bp)
    app.register_blueprint(onboarding_pages.bp)
    app.register_blueprint(controls.bp)

    @app.get("/healthz")
    def tell_health() -> ResponseReturnValue:
        """Say that the emulator is up."""
        return {"status": "ok", "emulator": "stripe"}

    return app


def _add_call(app: Flask, emulator: Emulator, method: str, path: str, endpoint: Endpoint) -> None:
    def view(**ids: str) -> Response:
        return answer_call(emulator, endpoint, ids)

    app.add_url_rule(path, f"{method} {path}".replace(".", "_"), view, methods=[method])


def _unknown(emulator: Emulator) -> Endpoint:
    def refuse(_emulator: Emulator, _params: Json, **_ids: str) -> Json:
        message = f"Unrecognized request URL ({request.method}: {request.path})."
        raise invalid(message, status=404)

    def view(**ids: str) -> Response:
        return answer_call(emulator, refuse, ids)

    return view  # type: ignore[return-value]
