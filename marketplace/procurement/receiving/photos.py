"""Photos and papers about a delivery: checked, re-encoded, kept sealed because a delivery note names people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from marketplace.catalog.pictures import prepare_picture
from marketplace.core.errors import Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.documents import document_type
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file

MOST_FILES = 6
PDF = "application/pdf"


@dataclass(frozen=True)
class Upload:
    """A file as it was sent."""

    content: bytes
    name: str = ""


def keep_photos(
    session: Session, actor: Actor, files: FileStore, uploads: Sequence[Upload], *, field: str
) -> list[StoredFile]:
    """Keep photos, re-encoded. Raises Refused, at form field `field`, for what is no picture, and for too many."""
    return [_photo(session, actor, files, upload, field) for upload in _few(uploads, field)]


def keep_papers(
    session: Session, actor: Actor, files: FileStore, uploads: Sequence[Upload], *, field: str
) -> list[StoredFile]:
    """Keep photos, re-encoded, and PDF documents. Raises Refused, at form field `field`, for anything else."""
    kept = []
    for upload in _few(uploads, field):
        if upload.content.startswith(b"%PDF-"):
            kind = document_type(upload.content, field=field)
            kept.append(
                keep_file(
                    session,
                    actor,
                    files,
                    content=upload.content,
                    name=upload.name,
                    media_type=kind,
                    sealed=True,
                )
            )
        else:
            kept.append(_photo(session, actor, files, upload, field))
    return kept


def _few(uploads: Sequence[Upload], field: str) -> Sequence[Upload]:
    if len(uploads) > MOST_FILES:
        raise Refused("too_many_files", N_("一次最多上传 %(most)s 个文件"), field=field, most=MOST_FILES)
    return uploads


def _photo(session: Session, actor: Actor, files: FileStore, upload: Upload, field: str) -> StoredFile:
    try:
        picture = prepare_picture(upload.content)
    except Refused as refused:
        raise Refused(refused.code, refused.message, field=field, **refused.params) from refused
    name = upload.name.rpartition(".")[0] or "photo"
    return keep_file(
        session,
        actor,
        files,
        content=picture.large,
        name=f"{name}.webp",
        media_type="image/webp",
        sealed=True,
    )
