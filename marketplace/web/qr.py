"""QR codes that lead to a page of this site."""

from __future__ import annotations

import segno
from flask import current_app


def qr_to(path: str, *, scale: int = 4) -> str:
    """A QR code with the public address of `path`, as a picture in the page (a data address)."""
    address = f"{current_app.config['SETTINGS'].public_url}{path}"
    return str(segno.make(address, error="m", micro=False).svg_data_uri(scale=scale, border=2))
