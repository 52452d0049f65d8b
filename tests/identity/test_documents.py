"""Uploads are known by their first bytes."""

from __future__ import annotations

import pytest

from marketplace.core.errors import Refused
from marketplace.identity.documents import MAX_DOCUMENT_BYTES, document_type


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7 text", "application/pdf"),
        (b"\xff\xd8\xff\xe0 a photo", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n a drawing", "image/png"),
    ],
)
def test_three_kinds_of_documents_are_taken(content, media_type):
    assert document_type(content) == media_type


@pytest.mark.parametrize("content", [b"", b"MZ a program", b"<html>", b"PK\x03\x04 an archive", b" %PDF-1.7"])
def test_anything_else_is_refused_at_its_field(content):
    with pytest.raises(Refused) as refusal:
        document_type(content, field="evidence")
    assert (refusal.value.code, refusal.value.field) == ("document_kind", "evidence")


def test_a_document_has_at_most_ten_megabytes():
    assert document_type(b"%PDF-".ljust(MAX_DOCUMENT_BYTES)) == "application/pdf"
    with pytest.raises(Refused) as refusal:
        document_type(b"%PDF-".ljust(MAX_DOCUMENT_BYTES + 1))
    assert refusal.value.code == "document_too_large"
