"""Many rows at once: the same rows whichever way they are written, and refusals that look like any other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core import bulk
from marketplace.core.bulk import Rows, next_ids, write_rows
from marketplace.core.ids import ALPHABET, public_nos
from marketplace.ledger.models import Entry

NAMES = ("id", "public_no", "idempotency_key", "kind", "occurred_at", "recorded_at", "cooperative_id",
         "subject_kind", "subject_id", "reason", "body", "body_hash", "salt")  # fmt: skip
AT = datetime(2026, 6, 1, 2, 3, 4, 567_890, tzinfo=UTC)
ODD = 'a "quoted" \\ text,\twith\nbreaks, 脐橙 and \\N'


def entry(key: int, name: str) -> tuple[object, ...]:
    stamps = (AT, AT, None, "order_line", 7, ODD, ODD)
    return (key, f"J-{name}", f"key:{name}", "adjustment", *stamps, bytes(range(32)), b"\x00\\" * 8)


@pytest.mark.parametrize("few", [0, 200], ids=["by COPY", "together"])
def test_rows_come_back_as_they_were_given(session: Session, monkeypatch, few: int) -> None:
    monkeypatch.setattr(bulk, "FEW", few)
    rows = Rows(session)
    ids = next_ids(session, Entry, 2)
    rows.add(Entry, NAMES, [entry(key, f"N{key}") for key in ids])
    rows.write()
    assert ids == sorted(set(ids))
    for key in ids:
        found = session.get_one(Entry, key)
        assert tuple(getattr(found, name) for name in NAMES) == entry(key, f"N{key}")


def test_rows_are_written_once(session: Session) -> None:
    rows = Rows(session)
    rows.add(Entry, NAMES, [entry(next_ids(session, Entry, 1)[0], "ONCE")])
    rows.write()
    rows.write()
    assert session.scalar(select(func.count()).select_from(Entry)) == 1


def test_no_number_is_given_twice(session: Session) -> None:
    first = next_ids(session, Entry, 3)
    write_rows(session, Entry, NAMES, [entry(key, f"N{key}") for key in first])
    later = next_ids(session, Entry, 2)
    assert len(first) == 3
    assert min(later) > max(first)


@pytest.mark.parametrize("few", [0, 200], ids=["by COPY", "together"])
def test_a_key_that_is_taken_is_refused_and_nothing_is_written(
    session: Session, monkeypatch, few: int
) -> None:
    monkeypatch.setattr(bulk, "FEW", few)
    one, two = next_ids(session, Entry, 2)
    rows = Rows(session)
    rows.add(Entry, NAMES, [entry(one, "SAME"), entry(two, "SAME")])
    with pytest.raises(IntegrityError, match=r"entry"), session.begin_nested():
        rows.write()
    assert session.scalar(select(func.count()).select_from(Entry)) == 0


def test_numbers_of_one_block_look_like_any_others() -> None:
    numbers = public_nos("I", 1_000)
    assert len(set(numbers)) == 1_000
    assert all(number[:2] == "I-" and len(number) == 12 for number in numbers)
    assert set("".join(number[2:] for number in numbers)) == set(ALPHABET)
    assert public_nos("I", 0) == []
