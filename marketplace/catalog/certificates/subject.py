"""What a reviewer sees of a certificate."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from marketplace.catalog.certificates.kinds import KINDS
from marketplace.catalog.certificates.models import GiUse
from marketplace.catalog.certificates.numbers import parse_green_food_product
from marketplace.catalog.models import Certificate, CertificateKind
from marketplace.identity.models import StoredFile
from marketplace.registry.reviews.models import ReviewCase


def certificate_subject(session: Session, case: ReviewCase) -> tuple[str, dict[str, Any]]:
    """The template of the part, and its context."""
    certificate = session.get_one(Certificate, case.subject_id)
    is_green = certificate.kind is CertificateKind.GREEN_FOOD
    return "catalog/certificates/_subject.html", {
        "certificate": certificate,
        "product": certificate.product,
        "file": session.get(StoredFile, certificate.file_id) if certificate.file_id else None,
        "kind": KINDS[certificate.kind],
        "use": session.get(GiUse, certificate.id),
        "renews": session.get(Certificate, certificate.renews_id) if certificate.renews_id else None,
        "parsed": parse_green_food_product(certificate.number) if is_green else None,
    }
