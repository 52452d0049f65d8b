"""Errors in the shape Stripe gives them, so that its library raises what it would raise."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class StripeFault(Exception):
    """An answer with an `error` object. `code`, `param` and the rest are left out where Stripe leaves them out."""

    def __init__(self, status: int, kind: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.details = details

    def body(self) -> Json:
        """The JSON of the answer."""
        known = {key: value for key, value in self.details.items() if value is not None}
        return {"error": {"type": self.kind, "message": str(self), **known}}


def invalid(
    message: str, *, param: str | None = None, code: str | None = None, status: int = 400
) -> StripeFault:
    """A request Stripe does not understand or does not allow."""
    return StripeFault(status, "invalid_request_error", message, param=param, code=code)


def missing(noun: str, key: str, param: str = "id") -> StripeFault:
    """The 404 for an id that names nothing."""
    return invalid(f"No such {noun}: '{key}'", param=param, code="resource_missing", status=404)


def unexpected_state(message: str, **details: object) -> StripeFault:
    """The 400 for a PaymentIntent that is not in a state for what was asked."""
    return StripeFault(
        400, "invalid_request_error", message, code="payment_intent_unexpected_state", **details
    )


def outage(status: int = 500) -> StripeFault:
    """The 5xx of a day on which the provider is unwell."""
    return StripeFault(status, "api_error", "An error occurred with our connection. Try again in a bit.")
