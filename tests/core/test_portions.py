"""Rows read in portions: each once, in order, one statement a portion."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core import portions
from marketplace.core.portions import in_portions
from marketplace.identity.models import Organisation
from tests.conftest import Listening
from tests.factories.identity import OrganisationFactory


@pytest.mark.parametrize(("rows", "expected"), [(0, 1), (1, 1), (2, 1), (3, 2), (7, 3), (9, 4)])
def test_a_statement_a_portion(
    session: Session, statements: Listening, monkeypatch: pytest.MonkeyPatch, rows: int, expected: int
) -> None:
    monkeypatch.setattr(portions, "PORTION_ROWS", 3)
    made = sorted(OrganisationFactory().id for _ in range(rows))
    OrganisationFactory()
    query = select(Organisation.id, Organisation.name).where(Organisation.id.in_(made))
    with statements() as sent:
        found = [row.id for row in in_portions(session, query, Organisation.id)]
    assert found == made
    assert len(sent) == expected
