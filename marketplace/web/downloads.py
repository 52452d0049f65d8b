"""Files that a page hands over to be kept, under a name in the reader's language."""

from __future__ import annotations

from io import BytesIO

from flask import Response, send_file


def download(content: bytes, media_type: str, *, name: str) -> Response:
    """`content` as a file called `name`. A header holds Latin letters only, so any other name is sent in the extended
    form (RFC 6266), with what can be spelled in Latin letters beside it for old readers."""
    answer: Response = send_file(
        BytesIO(content), mimetype=media_type, as_attachment=True, download_name=name, max_age=0
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
