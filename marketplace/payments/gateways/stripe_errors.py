"""Stripe's errors and instants, read into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import stripe

from marketplace.payments.gateways.protocol import GatewayRefused, GatewayUnavailable


@contextmanager
def provider_errors() -> Iterator[None]:
    """Turn the library's errors into ours: unknown outcome, or a clear no."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise GatewayUnavailable(str(error)) from error
    except stripe.APIError as error:  # a 5xx, or 409 while the first call still runs
        raise GatewayUnavailable(f"{error.http_status}: {error}") from error
    except stripe.IdempotencyError as error:
        raise GatewayRefused("idempotency_error", str(error)) from error
    except stripe.StripeError as error:
        raise GatewayRefused(error.code or type(error).__name__, str(error)) from error


def instant_of(epoch_s: int) -> datetime:
    """The aware instant of Stripe's seconds since 1970."""
    return datetime.fromtimestamp(epoch_s, UTC)
