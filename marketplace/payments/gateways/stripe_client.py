"""The provider's own library, set up for the provider or for an emulator on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
import stripe

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_RETRIES = 2
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def stripe_client(
    api_key: str,
    *,
    api_base: str = "",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    retries: int = DEFAULT_RETRIES,
) -> stripe.StripeClient:
    """A client. `retries` are made by the library with the same idempotency key, `timeout_s` is per attempt."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base.rstrip("/")} if api_base else {},
        max_network_retries=retries,
        http_client=stripe.RequestsClient(timeout=timeout_s, session=_direct_session(api_base)),
    )


def _direct_session(api_base: str) -> requests.Session | None:
    """For an emulator on this machine, a session that ignores the proxy of the office network."""
    if urlsplit(api_base).hostname not in LOOPBACK:
        return None
    session = requests.Session()
    session.trust_env = False
    return session
