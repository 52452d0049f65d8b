"""Documents that come with a form of this room: kept sealed, because a signed paper names people."""

from __future__ import annotations

from flask import current_app
from flask_wtf.file import FileField

from marketplace.identity.access import current_actor
from marketplace.identity.documents import document_type
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file
from marketplace.web.transaction import current_session


def uploaded_document(field: FileField) -> StoredFile | None:
    """The document chosen in `field`, kept for the actor's organisation; None when none was chosen.

    Raises Refused, at that field, when it is empty, too large or of another kind than PDF, JPEG or PNG.
    """
    chosen = field.data
    if not chosen or not getattr(chosen, "filename", ""):
        return None
    content = chosen.read()
    return keep_file(
        current_session(),
        current_actor(),
        current_app.extensions["files"],
        content=content,
        name=chosen.filename,
        media_type=document_type(content, field=field.name) if content else "",
        sealed=True,
    )
