"""Rate limits: guessing passwords must be slow. Counted by the asker's address, in the memory of each web process.

Behind a proxy every request comes from the proxy; the address of the asker is what as many proxies as are trusted say
in X-Forwarded-For. What an asker writes there itself counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.middleware.proxy_fix import ProxyFix

limiter = Limiter(get_remote_address, storage_uri="memory://", strategy="fixed-window")


def _sign_in_limit() -> str:
    limit: str = current_app.config["SETTINGS"].login_limit
    return limit


def limited_sign_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs of `view` against the sign-in limit of the deployment."""
    limited: Callable[..., Any] = limiter.limit(_sign_in_limit, methods=["POST"])(view)
    return limited


def init_limits(app: Flask) -> None:
    """Set up the limiter, and where an asker's address is read."""
    proxies: int = app.config["SETTINGS"].trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask says it is done
            app.wsgi_app, x_for=proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    limiter.init_app(app)
