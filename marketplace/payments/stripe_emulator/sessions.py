"""Checkout Sessions: a page on which one order is paid, or which runs out.

Payment mode with price_data on the hosted page, which is all the marketplace uses. As at Stripe, the
PaymentIntent is made when the payer first tries to pay, and a session ends once: complete or expired, never
both.
"""

from __future__ import annotations

from marketplace.payments.stripe_emulator import intents, params as read
from marketplace.payments.stripe_emulator.cards import Means
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

SHORTEST_S = 30 * 60
LONGEST_S = 24 * 60 * 60
SLACK_S = 60
MAX_LINES = 100
STATUSES = ("open", "complete", "expired")


def create(emulator: Emulator, params: Json) -> Json:
    """POST /v1/checkout/sessions."""
    read.allow(
        params,
        *("mode", "ui_mode", "line_items", "success_url", "cancel_url", "client_reference_id", "metadata"),
        *("payment_intent_data", "allowed_payment_method_types", "payment_method_options", "expires_at"),
        *("locale", "currency", "customer_email", "submit_type"),
    )
    read.required(params, "mode")
    read.choice(params, "mode", ("payment",))
    read.choice(params, "ui_mode", ("hosted_page",))
    intent_data = read.group(params, "payment_intent_data")
    read.allow(intent_data, "metadata", "description", "transfer_group")
    lines = _lines(params)
    currencies = {line["currency"] for line in lines}
    if len(currencies) > 1:
        raise invalid("All line items must have the same currency.", param="line_items")
    key = new_id("cs_test_")
    total = sum(line["amount_total"] for line in lines)
    session: Json = {
        "id": key,
        "object": "checkout.session",
        "allowed_payment_method_types": read.texts(params, "allowed_payment_method_types") or None,
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": read.web_address(params, "cancel_url"),
        "client_reference_id": read.text(params, "client_reference_id", limit=200),
        "client_secret": None,
        "created": emulator.now(),
        "currency": currencies.pop(),
        "customer": None,
        "customer_email": read.text(params, "customer_email"),
        "expires_at": _expires_at(emulator, params),
        "livemode": False,
        "locale": read.text(params, "locale"),
        "metadata": read.metadata(params),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_options": read.group(params, "payment_method_options"),
        "payment_method_types": intents.usable_methods(params),
        "payment_status": "unpaid",
        "status": "open",
        "submit_type": read.text(params, "submit_type"),
        "success_url": read.web_address(params, "success_url", needed=True),
        "ui_mode": "hosted_page",
        "url": f"{emulator.base_url}/c/pay/{key}",
        "_lines": lines,
        "_intent_metadata": read.metadata(intent_data),
        "_intent_description": read.text(intent_data, "description"),
        "_transfer_group": read.text(intent_data, "transfer_group"),
    }
    return emulator.store.put("checkout.session", session)


def retrieve(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/checkout/sessions/<key>."""
    read.allow(params)
    return current(emulator, key)


def search(emulator: Emulator, params: Json) -> Json:
    """GET /v1/checkout/sessions."""
    read.allow(params, "limit", "starting_after", "ending_before", "payment_intent", "status")
    expire_due(emulator)
    intent = read.text(params, "payment_intent")
    status = read.choice(params, "status", STATUSES)
    return page_of(
        emulator,
        "checkout.session",
        params,
        lambda row: (
            (intent is None or row["payment_intent"] == intent)
            and (status is None or row["status"] == status)
        ),
    )


def expire(emulator: Emulator, params: Json, key: str) -> Json:
    """POST /v1/checkout/sessions/<key>/expire."""
    read.allow(params)
    session = current(emulator, key)
    if session["status"] != "open":
        message = f"Only open Checkout Sessions can be expired. This one has a status of {session['status']}."
        raise invalid(message, param="session")
    return run_out(emulator, session)


def current(emulator: Emulator, key: str) -> Json:
    """The session as it is now, expired if its time has come."""
    session = emulator.store.one("checkout.session", key, "session")
    if session["status"] == "open" and session["expires_at"] <= emulator.now():
        run_out(emulator, session)
    return session


def expire_due(emulator: Emulator) -> None:
    """Expire every open session whose time has come."""
    with emulator.store.lock:
        for session in list(emulator.store.newest_first("checkout.session")):
            if session["status"] == "open" and session["expires_at"] <= emulator.now():
                run_out(emulator, session)


def run_out(emulator: Emulator, session: Json) -> Json:
    """End an open session unpaid."""
    session.update(status="expired", url=None)
    emulator.store.put("checkout.session", session)
    intent = emulator.store.find("payment_intent", session["payment_intent"] or "")
    if intent is not None:
        intents.call_off(emulator, intent, None)
    emulator.emit("checkout.session.expired", session)
    return session


def pay(emulator: Emulator, session: Json, means: Means) -> Json:
    """The payer presses the button: one attempt with `means`. The intent, whose status says what came of it."""
    intent = emulator.store.find("payment_intent", session["payment_intent"] or "")
    if intent is None:
        intent = intents.open_intent(
            emulator,
            amount=session["amount_total"],
            currency=session["currency"],
            methods=session["payment_method_types"],
            metadata=session["_intent_metadata"],
            description=session["_intent_description"],
            transfer_group=session["_transfer_group"],
            session_id=session["id"],
        )
        session["payment_intent"] = intent["id"]
        emulator.store.put("checkout.session", session)
    if session["status"] == "open":
        intents.attempt(emulator, intent, means)
        complete_if_paid(emulator, intent)
    return intent


def complete_if_paid(emulator: Emulator, intent: Json) -> None:
    """Complete the open session of a succeeded intent."""
    session = emulator.store.find("checkout.session", intent["_session"] or "")
    if session is None or session["status"] != "open" or intent["status"] != "succeeded":
        return
    session.update(status="complete", payment_status="paid", url=None)
    emulator.store.put("checkout.session", session)
    emulator.emit("checkout.session.completed", session)


def _lines(params: Json) -> list[Json]:
    items = params.get("line_items")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_LINES:
        raise invalid("Missing required param: line_items.", param="line_items", code="parameter_missing")
    lines = []
    for number, item in enumerate(items):
        where = f"line_items[{number}]"
        if not isinstance(item, dict):
            raise invalid("Invalid object", param=where)
        read.allow(item, "quantity", "price_data")
        price = read.group(item, "price_data")
        read.allow(price, "currency", "unit_amount", "product_data")
        product = read.group(price, "product_data")
        read.allow(product, "name", "description", "images", "metadata")
        quantity = read.whole(item, "quantity", param=f"{where}[quantity]") or 0
        if quantity < 1:
            raise invalid("Quantity must be at least 1.", param=f"{where}[quantity]")
        unit = read.amount(price, "unit_amount", param=f"{where}[price_data][unit_amount]")
        lines.append(
            {
                "name": read.required(product, "name", param=f"{where}[price_data][product_data][name]"),
                "currency": read.currency(price, param=f"{where}[price_data][currency]"),
                "quantity": quantity,
                "amount_total": unit * quantity,
            }
        )
    return lines


def _expires_at(emulator: Emulator, params: Json) -> int:
    """Between 30 minutes and 24 hours ahead, with a minute of slack for slow callers; 24 hours when not given."""
    at = read.whole(params, "expires_at")
    if at is None:
        return emulator.now() + LONGEST_S
    if not SHORTEST_S - SLACK_S <= at - emulator.now() <= LONGEST_S + SLACK_S:
        message = "The `expires_at` timestamp must be 30 minutes to 24 hours from Checkout Session creation."
        raise invalid(message, param="expires_at")
    return at
