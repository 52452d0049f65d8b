"""What every API call passes: the key, a planned outage, idempotency, and errors in Stripe's shape.

Calls run one at a time under the store's lock, so a key used by two calls at once is executed once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from flask import Response, request

from marketplace.payments.stripe_emulator import faults, params as read
from marketplace.payments.stripe_emulator.emulator import API_VERSION, Emulator, public
from marketplace.payments.stripe_emulator.faults import Json, StripeFault, invalid
from marketplace.payments.stripe_emulator.listing import expand
from marketplace.payments.stripe_emulator.store import new_id

Endpoint = Callable[..., Json]
KEY_LENGTH = 255
EXECUTED = frozenset(
    {"balance_insufficient"}
)  # refusals that are answers: kept under the key as a decline is


def answer_call(emulator: Emulator, endpoint: Endpoint, ids: dict[str, str]) -> Response:
    """Run one API call and answer it."""
    replayed = False
    try:
        _check_key(emulator)
        mode = emulator.outages.take(request.path)
        if mode == "error":
            raise faults.outage()
        if mode == "timeout":
            emulator.outages.hold()
            raise faults.outage(504)
        given = request.args if request.method == "GET" else request.form
        params = read.decode(given.items(multi=True))
        with emulator.store.lock:
            status, text, replayed = _execute_once(emulator, endpoint, params, ids)
        if mode == "lost":
            emulator.outages.hold()
            raise faults.outage(504)
    except StripeFault as fault:
        status, text = fault.status, json.dumps(fault.body(), ensure_ascii=False)
    response = Response(text, status, mimetype="application/json")
    response.headers["Request-Id"] = new_id("req_")
    response.headers["Stripe-Version"] = request.headers.get("Stripe-Version", API_VERSION)
    if key := request.headers.get("Idempotency-Key"):
        response.headers["Idempotency-Key"] = key
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _execute_once(
    emulator: Emulator, endpoint: Endpoint, params: Json, ids: dict[str, str]
) -> tuple[int, str, bool]:
    """Status, text, and whether it is the answer of an earlier call with the same key."""
    key = request.headers.get("Idempotency-Key", "")
    if request.method == "GET" or not key:
        return *_execute(emulator, endpoint, params, ids), False
    if len(key) > KEY_LENGTH:
        raise invalid(f"Idempotency keys have up to {KEY_LENGTH} characters.")
    body = json.dumps(params, sort_keys=True).encode()
    print_of_body = hashlib.sha256(body).hexdigest()
    earlier = emulator.store.find("idempotency", key)
    if earlier is not None:
        _check_same(earlier, print_of_body, key)
        return earlier["status"], earlier["text"], True
    status, text = _execute(emulator, endpoint, params, ids)
    record = {"id": key, "path": request.path, "body": print_of_body, "status": status, "text": text}
    emulator.store.put("idempotency", record)
    return status, text, False


def _execute(emulator: Emulator, endpoint: Endpoint, params: Json, ids: dict[str, str]) -> tuple[int, str]:
    """Run the endpoint. A decline is an answer; a call that fails validation is raised, and kept under no key."""
    try:
        row = endpoint(emulator, params, **ids)
        body = public(expand(emulator, row, read.texts(params, "expand")))
        return 200, json.dumps(body, ensure_ascii=False)
    except StripeFault as fault:
        if fault.kind != "card_error" and fault.details.get("code") not in EXECUTED:
            raise
        return fault.status, json.dumps(fault.body(), ensure_ascii=False)


def _check_same(earlier: Json, print_of_body: str, key: str) -> None:
    if earlier["path"] != request.path:
        subject = f"the same endpoint they were first used for ('{earlier['path']}')"
    elif earlier["body"] != print_of_body:
        subject = "the same parameters they were first used with"
    else:
        return
    message = f"Keys for idempotent requests can only be used with {subject}. Try a key other than '{key}'."
    raise StripeFault(400, "idempotency_error", message)


def _check_key(emulator: Emulator) -> None:
    """A test key, and the right one where one was set. Never a live one."""
    given = request.authorization
    key = "" if given is None else (given.token or given.get("username") or "")
    if not key:
        raise invalid("You did not provide an API key.", status=401)
    expected = emulator.options.api_key
    if not key.startswith("sk_test_") or (expected and key != expected):
        raise invalid(f"Invalid API Key provided: {key[:8]}****", status=401)
