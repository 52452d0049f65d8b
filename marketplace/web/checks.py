"""Public checks: the page behind the QR code of a paper, which anybody may open and search engines leave alone."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, render_template

CHECKS = "60 per minute; 600 per hour"  # how often an address may look one up


def check_page(template: str, **shown: Any) -> Response:
    """The public check of a paper, from `template` with what it shows."""
    response = make_response(render_template(template, **shown))
    response.headers["X-Robots-Tag"] = "noindex"
    return response
