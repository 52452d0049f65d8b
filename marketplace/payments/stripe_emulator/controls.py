"""Test controls: what a test or a demonstration tells the emulator to suffer. JSON in, JSON out.

Bodies must be JSON, so a page on another site cannot send them from a visitor's browser.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from marketplace.payments.stripe_emulator import connect, disputes, intents, payouts, sessions
from marketplace.payments.stripe_emulator.cards import means_of
from marketplace.payments.stripe_emulator.emulator import Emulator, public
from marketplace.payments.stripe_emulator.faults import StripeFault, missing

bp = Blueprint("controls", __name__, url_prefix="/_emulator")
OUTAGES = ("error", "timeout", "lost")
LONGEST_WAIT_S = 30.0


@bp.errorhandler(StripeFault)
def show_fault(fault: StripeFault) -> ResponseReturnValue:
    """A wrong id or state, in the same shape as the API gives it."""
    return jsonify(fault.body()), fault.status


@bp.get("/deliveries")
def list_deliveries() -> ResponseReturnValue:
    """Every attempt to deliver a message. `?settled=5` waits up to 5 seconds until none is on its way."""
    emulator = _emulator()
    wait_s = min(request.args.get("settled", 0.0, float), LONGEST_WAIT_S)
    settled = emulator.courier.wait_until_settled(wait_s)
    return jsonify(settled=settled, deliveries=list(emulator.courier.log))


@bp.post("/webhooks")
def plan_webhooks() -> ResponseReturnValue:
    """Plan for the next messages: `duplicate` n, `forge` n, `delay_s`, `hold`; `release` "forward" or "reverse"."""
    wish = _wish()
    courier, day = _emulator().courier, _emulator().courier.bad_day
    day.duplicate = int(wish.get("duplicate", day.duplicate))
    day.forge = int(wish.get("forge", day.forge))
    day.delay_s = float(wish.get("delay_s", day.delay_s))
    day.hold = bool(wish.get("hold", day.hold))
    released = courier.release(reverse=wish["release"] == "reverse") if "release" in wish else 0
    return jsonify(released=released)


@bp.post("/events/<key>/resend")
def resend_event(key: str) -> ResponseReturnValue:
    """Deliver an event once more."""
    emulator = _emulator()
    with emulator.store.lock:
        emulator.courier.send(emulator.store.one("event", key))
    return jsonify(event=key)


@bp.post("/outages")
def plan_outages() -> ResponseReturnValue:
    """Let the next `times` API calls under `path` fail: `mode` "error" (500), "timeout", "lost" (done, unanswered)."""
    wish = _wish()
    if wish.get("mode") not in OUTAGES:
        return jsonify(error=f"mode must be one of {', '.join(OUTAGES)}"), 400
    times = int(wish.get("times", 1))
    _emulator().outages.plan(wish["mode"], wish.get("path", "/v1/"), times)
    return jsonify(planned=times)


@bp.get("/outages")
def show_held() -> ResponseReturnValue:
    """Whether a call is kept waiting. `?held=5` waits up to 5 seconds for one."""
    wait_s = min(request.args.get("held", 0.0, float), LONGEST_WAIT_S)
    return jsonify(held=_emulator().outages.wait_until_held(wait_s))


@bp.post("/sessions/<key>/expire")
def expire_session(key: str) -> ResponseReturnValue:
    """Let a session run out now."""
    emulator = _emulator()
    with emulator.store.lock:
        return jsonify(public(sessions.expire(emulator, {}, key)))


@bp.post("/sessions/<key>/pay")
def pay_session(key: str) -> ResponseReturnValue:
    """Pay without the page: `means` is a test token or a wallet; `agree` answers the question, when there is one."""
    emulator, wish = _emulator(), _wish()
    with emulator.store.lock:
        session = sessions.current(emulator, key)
        means = means_of(wish.get("means", "pm_card_visa"), session["payment_method_types"])
        intent = sessions.pay(emulator, session, means)
        if "agree" in wish:
            intents.authorize(emulator, intent, agreed=bool(wish["agree"]))
            sessions.complete_if_paid(emulator, intent)
        return jsonify(public(intent))


@bp.post("/charges/<key>/dispute")
def dispute_charge(key: str) -> ResponseReturnValue:
    """The payer disputes a charge, named by itself or by its PaymentIntent: `amount` of it, with a `reason`; with
    `inquires` the bank only asks."""
    emulator, wish = _emulator(), _wish()
    with emulator.store.lock:
        if key.startswith("pi_"):
            key = emulator.store.one("payment_intent", key)["latest_charge"]
        charge = emulator.store.one("charge", key)
        dispute = disputes.open_dispute(
            emulator,
            charge,
            wish.get("amount"),
            wish.get("reason", "fraudulent"),
            inquires=bool(wish.get("inquires")),
        )
        return jsonify(public(dispute))


@bp.post("/disputes/<key>/decide")
def decide_dispute(key: str) -> ResponseReturnValue:
    """The bank decides a dispute: `won` true or false."""
    emulator = _emulator()
    with emulator.store.lock:
        dispute = emulator.store.one("dispute", key)
        return jsonify(public(disputes.decide(emulator, dispute, won=bool(_wish().get("won")))))


@bp.post("/disputes/<key>/escalate")
def escalate_dispute(key: str) -> ResponseReturnValue:
    """The bank turns an inquiry into a dispute."""
    emulator = _emulator()
    with emulator.store.lock:
        return jsonify(public(disputes.escalate(emulator, emulator.store.one("dispute", key))))


@bp.post("/accounts/<key>")
def change_account(key: str) -> ResponseReturnValue:
    """Bring a connected account to a `stage`, or let its bank `drain` what it holds."""
    emulator, wish = _emulator(), _wish()
    with emulator.store.lock:
        account = emulator.store.one("account", key)
        if wish.get("drain"):
            account["_balance"] = 0
        if wish.get("stage") in connect.STAGES:
            connect.enter_stage(emulator, account, wish["stage"])
        return jsonify(public(emulator.store.put("account", account)))


@bp.post("/payouts/<key>/fail")
def fail_payout(key: str) -> ResponseReturnValue:
    """The bank sends a payout back."""
    emulator = _emulator()
    with emulator.store.lock:
        return jsonify(public(payouts.fail(emulator, emulator.store.one("payout", key))))


@bp.post("/balance/<key>")
def change_balance(key: str) -> ResponseReturnValue:
    """Plant a difference: change the `amount` of the transaction of a source (a charge, an intent, a refund) by fen."""
    emulator = _emulator()
    with emulator.store.lock:
        if key.startswith("pi_"):
            key = emulator.store.one("payment_intent", key)["latest_charge"]
        rows = emulator.store.newest_first("balance_transaction")
        row = next((one for one in rows if one["source"] == key), None)
        if row is None:
            raise missing("balance transaction", key)
        by = int(_wish().get("by", 1))
        row.update(amount=row["amount"] + by, net=row["net"] + by)
        return jsonify(public(emulator.store.put("balance_transaction", row)))


@bp.post("/clock")
def set_clock() -> ResponseReturnValue:
    """Hold the clock of sessions and events `at` an instant (ISO 8601 with offset), or let it run again (null)."""
    emulator, at = _emulator(), _wish().get("at")
    emulator.set_instant = None if at is None else datetime.fromisoformat(at)
    sessions.expire_due(emulator)
    with emulator.store.lock:
        connect.verify_due(emulator)
    return jsonify(now=emulator.now())


@bp.post("/reset")
def reset() -> ResponseReturnValue:
    """Forget everything, and let go of calls that are kept waiting."""
    emulator = _emulator()
    with emulator.store.lock:
        emulator.store.clear()
    emulator.courier.forget()
    emulator.outages.reset()
    emulator.set_instant = None
    return jsonify(reset=True)


def _emulator() -> Emulator:
    emulator = current_app.extensions["emulator"]
    assert isinstance(emulator, Emulator)
    return emulator


def _wish() -> dict[str, Any]:
    wish = request.get_json()
    return wish if isinstance(wish, dict) else {}
