"""What reviewers, and on a public notice everybody, see of an application for recognition. Holds no personal data."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from marketplace.catalog.recognition.models import Recognition
from marketplace.registry.reviews.models import ReviewCase


def recognition_subject(session: Session, case: ReviewCase) -> tuple[str, dict[str, Any]]:
    """The template of the part, and its context."""
    recognition = session.get_one(Recognition, case.subject_id)
    return "catalog/recognition/_subject.html", {"recognition": recognition, "product": recognition.product}
