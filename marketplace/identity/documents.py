"""Uploaded documents: which kinds are taken, told by their first bytes and not by their name.

Pictures of goods are checked more closely, and made smaller, in the catalogue.
"""

from __future__ import annotations

import zipfile
from io import BytesIO

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

MAX_DOCUMENT_BYTES = 10 * 1024 * 1024
OFD = "application/ofd"
_BEGINNINGS = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
)


def document_type(content: bytes, *, field: str = "file", with_ofd: bool = False) -> str:
    """The media type of a PDF, JPEG or PNG, and of an OFD where that is taken (GB/T 33190, what invoices come in).

    Raises Refused, at form field `field`, for anything else or too large.
    """
    if len(content) > MAX_DOCUMENT_BYTES:
        raise Refused(
            "document_too_large",
            N_("文件超过 %(most)s MB，请压缩后再上传"),
            field=field,
            most=MAX_DOCUMENT_BYTES // 1024 // 1024,
        )
    for beginning, media_type in _BEGINNINGS:
        if content.startswith(beginning):
            return media_type
    if with_ofd and _is_ofd(content):
        return OFD
    if with_ofd:
        raise Refused("document_kind", N_("只能上传 PDF、OFD、JPG 或 PNG 文件"), field=field)
    raise Refused("document_kind", N_("只能上传 PDF、JPG 或 PNG 文件，请另存为这几种格式"), field=field)


def _is_ofd(content: bytes) -> bool:
    """An OFD is a ZIP archive whose entrance is OFD.xml; the list of its files is enough to tell."""
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return "OFD.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False
