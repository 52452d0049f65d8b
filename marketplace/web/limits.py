"""Rate limits: guessing passwords must be slow. Counted in memory by one process, in Redis by several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter = Limiter(get_remote_address, storage_uri="memory://", strategy="fixed-window")


def _sign_in_limit() -> str:
    limit: str = current_app.config["SETTINGS"].login_limit
    return limit


def limited_sign_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs of `view` against the sign-in limit of the deployment."""
    limited: Callable[..., Any] = limiter.limit(_sign_in_limit, methods=["POST"])(view)
    return limited


def init_limits(app: Flask) -> None:
    """Set up the limiter."""
    limiter.init_app(app)
