"""Documents that come with a form of this room: kept sealed, because a signed paper names people."""

from __future__ import annotations

from flask import current_app
from flask_wtf.file import FileField, MultipleFileField
from werkzeug.datastructures import FileStorage

from marketplace.identity.access import current_actor
from marketplace.identity.documents import document_type
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file
from marketplace.web.transaction import current_session


def uploaded_document(field: FileField, *, with_ofd: bool = False) -> StoredFile | None:
    """The document chosen in `field`, kept for the actor's organisation; None when none was chosen.

    Raises Refused, at that field, when it is empty, too large or of another kind than PDF, JPEG or PNG, or OFD where
    that is taken.
    """
    chosen = field.data
    if not chosen or not getattr(chosen, "filename", ""):
        return None
    return _kept(chosen, field.name, with_ofd=with_ofd)


def uploaded_documents(field: MultipleFileField) -> list[StoredFile]:
    """The same of a field that takes several documents; raises as uploaded_document."""
    return [_kept(one, field.name) for one in field.data or () if one and one.filename]


def _kept(chosen: FileStorage, field_name: str, *, with_ofd: bool = False) -> StoredFile:
    content = chosen.read()
    return keep_file(
        current_session(),
        current_actor(),
        current_app.extensions["files"],
        content=content,
        name=chosen.filename or "",
        media_type=document_type(content, field=field_name, with_ofd=with_ofd) if content else "",
        sealed=True,
    )
