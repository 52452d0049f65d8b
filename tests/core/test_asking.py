"""Questions in one go: the same answers from both databases, whatever the values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core import bulk
from marketplace.core.asking import Question, ask, one_of
from marketplace.core.bulk import Rows, ids_of_each, next_ids
from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.models import Account, Entry
from tests.core.test_bulk import NAMES, entry

ODD = ['a "quoted" \\ text', "{braces}, and commas", "脐橙", "", "NULL"]
NAMED = Question(
    select(Account.id, Account.key).where(one_of(Account.channel, "channels")).order_by(Account.id)
)
NUMBERED = Question(select(Account.key).where(one_of(Account.id, "ids")).order_by(Account.id))
KINDS = Question(
    select(Account.kind).where(Account.kind == AccountKind.CLEARING).order_by(Account.id).limit(1)
)
AT = Question(select(Entry.id, Entry.occurred_at).where(Entry.occurred_at == bindparam("at")))
COUNTED = Question(select(func.count()).select_from(Entry))


@pytest.fixture
def accounts(session: Session) -> list[int]:
    """The ids of a clearing account for each odd channel."""
    kind = AccountKind.CLEARING
    rows = [{"key": f"clearing:{place}", "kind": kind, "channel": odd} for place, odd in enumerate(ODD)]
    session.execute(insert(Account), rows)
    return list(session.scalars(select(Account.id).order_by(Account.id)))


@pytest.mark.parametrize("wanted", [[], [2], [0, 1, 2, 3, 4]])
def test_texts_are_found_whatever_is_in_them(session: Session, accounts: list[int], wanted: list[int]):
    (rows,) = ask(session, (NAMED, {"channels": [ODD[place] for place in wanted]}))
    assert [tuple(row) for row in rows] == [(accounts[place], f"clearing:{place}") for place in wanted]


@pytest.mark.parametrize("wanted", [[], [2], [0, 1, 2, 3, 4]])
def test_numbers_are_found(session: Session, accounts: list[int], wanted: list[int]):
    (rows,) = ask(session, (NUMBERED, {"ids": [accounts[place] for place in wanted]}))
    assert [key for (key,) in rows] == [f"clearing:{place}" for place in wanted]


def test_answers_come_in_the_order_of_the_questions(session: Session, accounts: list[int]):
    first, second, third = ask(
        session, (NUMBERED, {"ids": accounts[:1]}), (KINDS, {}), (NUMBERED, {"ids": accounts[1:2]})
    )
    assert ([*first[0]], [*second[0]], [*third[0]]) == (
        ["clearing:0"],
        [AccountKind.CLEARING],
        ["clearing:1"],
    )
    assert ask(session) == []


def test_instants_are_aware_and_those_of_utc(session: Session):
    key, at = next_ids(session, Entry, 1)[0], datetime(2026, 6, 1, 2, 3, 4, 567_890, tzinfo=UTC)
    rows = Rows(session)
    rows.add(Entry, NAMES, [entry(key, "AT")])
    rows.write()
    (found,) = ask(session, (AT, {"at": at.astimezone(timezone(timedelta(hours=8)))}))
    assert [tuple(row) for row in found] == [(key, at)]
    assert found[0][1].tzinfo is UTC


@pytest.mark.parametrize("few", [0, 200], ids=["by COPY", "together"])
def test_what_is_asked_then_sees_the_rows(session: Session, monkeypatch: pytest.MonkeyPatch, few: int):
    monkeypatch.setattr(bulk, "FEW", few)
    rows = Rows(session)
    rows.add(Entry, NAMES, [entry(key, f"N{key}") for key in next_ids(session, Entry, 2)])
    later = rows.then(COUNTED, {})
    assert list(later.rows) == []
    rows.write()
    assert [tuple(row) for row in later.rows] == [(2,)]


@pytest.mark.parametrize("others", [[], [(COUNTED, {})]], ids=["alone", "among others"])
def test_a_refusal_looks_like_any_other(session: Session, accounts: list[int], others: list[Any]):
    change = Question(update(Account).values(key="bank").where(one_of(Account.id, "ids")))
    with pytest.raises(IntegrityError, match="account is append-only"), session.begin_nested():
        ask(session, *others, (change, {"ids": accounts}), *others)
    assert session.scalars(select(Account.key).order_by(Account.id)).first() == "clearing:0"


def test_ids_of_several_tables_are_drawn_at_once(session: Session):
    drawn = ids_of_each(session, {Entry: 2, Account: 3})
    assert [len(set(drawn[model])) for model in (Entry, Account)] == [2, 3]
    assert drawn[Entry] == sorted(drawn[Entry])
    assert ids_of_each(session, {Entry: 0}) == {Entry: []}
