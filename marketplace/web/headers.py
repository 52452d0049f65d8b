"""Security headers on every answer. The policy allows our own files only: no inline script, no inline style."""

from __future__ import annotations

from flask import Flask, Response

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self' {card_pages}; frame-ancestors 'none'"
)


def init_headers(app: Flask, *, card_pages: str) -> None:
    """Add the headers; `card_pages` are the origins the payment pages live on (forms may lead there)."""
    policy = POLICY.format(card_pages=card_pages).strip()

    def add(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "geolocation=(), microphone=(), camera=(self)")
        if response.mimetype == "text/html":
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    app.after_request(add)
