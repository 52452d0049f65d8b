"""Posting: what a draft may be, what is written, what a repeated key does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict
from marketplace.ledger.accounts import AccountKey, AccountKind
from marketplace.ledger.bodies import hash_of
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries, post_entry
from tests.ledger.conftest import NOON, Parties, row_counts


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements sent meanwhile; a batch to the driver counts once."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


# --- drafts ---


def test_an_account_key_names_its_owners():
    assert AccountKey.household_payable(3, 12).text == "household_payable:coop=3:household=12"
    assert AccountKey.village_payable("361025100200", 3).text == "village_payable:coop=3:village=361025100200"
    assert AccountKey.clearing("card").text == "clearing:channel=card"
    assert AccountKey.buyer_receivable(8).text == "buyer_receivable:unit=8"
    assert AccountKey.bank().text == "bank"


@pytest.mark.parametrize(
    ("kind", "owners"),
    [
        (AccountKind.HOUSEHOLD_PAYABLE, {"household_id": 12}),
        (AccountKind.ORDER_ESCROW, {}),
        (AccountKind.BANK, {"channel": "card"}),
        (AccountKind.BUYER_RECEIVABLE, {"buyer_unit_id": 1, "cooperative_id": 2}),
        (AccountKind.CLEARING, {"channel": "card:coop=3"}),
    ],
)
def test_an_account_of_the_wrong_owner_cannot_be_named(kind: AccountKind, owners: dict[str, Any]):
    with pytest.raises(ValueError):
        AccountKey(kind, **owners)


@pytest.mark.parametrize("amount_fen", [0, -1])
def test_a_transfer_moves_a_positive_amount(amount_fen: int):
    with pytest.raises(ValueError):
        TransferDraft(AccountKey.bank(), AccountKey.escrow(1), amount_fen)


def test_a_transfer_has_two_accounts():
    with pytest.raises(ValueError):
        TransferDraft(AccountKey.escrow(1), AccountKey.escrow(1), 5)


def test_a_transfer_does_not_cross_from_one_cooperative_to_another():
    with pytest.raises(ValueError):
        TransferDraft(AccountKey.escrow(1), AccountKey.cooperative_payable(2), 5)


MOVED = TransferDraft(AccountKey.clearing("card"), AccountKey.escrow(1), 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"transfers": ()},
        {"idempotency_key": ""},
        {"idempotency_key": "k" * 201},
        {"occurred_at": datetime(2026, 6, 1)},  # noqa: DTZ001 - the naive time is what is refused
        {"kind": EntryKind.REVERSAL, "reason": "重复记账"},
        {"reverses": 4},
        {"reverses": 4, "reason": "  "},
        {"kind": EntryKind.ADJUSTMENT},
        {"cooperative_id": 2},
        {"reason": "因" * 301},
        {"subject": ("", 1)},
    ],
)
def test_an_entry_that_breaks_the_rules_cannot_be_drafted(wrong: dict[str, Any]):
    right: dict[str, Any] = {
        "kind": EntryKind.PAYMENT_RECEIVED,
        "idempotency_key": "payment:1",
        "occurred_at": NOON,
        "transfers": (MOVED,),
        "subject": ("order_line", 17),
    }
    EntryDraft(**right)
    with pytest.raises(ValueError):
        EntryDraft(**(right | wrong))


# --- what is written ---


def test_an_entry_is_written_with_its_transfers_in_order(session: Session, parties: Parties, clock: Any):
    entry = post_entry(session, parties.settled())

    written = session.scalars(
        select(Transfer)
        .options(selectinload(Transfer.debit_account), selectinload(Transfer.credit_account))
        .order_by(Transfer.position)
    ).all()
    assert [
        (t.entry_id, t.position, t.debit_account.key, t.credit_account.key, t.amount_fen, t.cooperative_id)
        for t in written
    ] == [
        (entry.id, position, f"{debit}:coop={parties.coop}", f"{credit}", fen, parties.coop)
        for position, debit, credit, fen in (
            (1, "order_escrow", f"cooperative_payable:coop={parties.coop}", 10_000),
            (2, "cooperative_payable", AccountKey.household_payable(parties.coop, parties.first).text, 300),
            (3, "cooperative_payable", AccountKey.household_payable(parties.coop, parties.second).text, 100),
        )
    ]
    assert (entry.kind, entry.subject_kind, entry.subject_id) == (EntryKind.LINE_SETTLED, "order_line", 17)
    assert (entry.occurred_at, entry.recorded_at) == (NOON, clock.now)
    assert len(entry.salt) == 16


def test_the_body_of_an_entry_is_canonical(session: Session, parties: Parties, clock: Any):
    entry = post_entry(session, parties.paid(reason="首单"))

    assert entry.body == (
        f'{{"actor":null,"cooperative":{parties.coop},"key":"payment:1","kind":"payment_received",'
        f'"no":"{entry.public_no}","occurred_at":"2026-06-01T04:00:00.000000Z","reason":"首单",'
        '"recorded_at":"2026-06-01T02:00:00.000000Z","reverses":null,"subject":["order_line",17],'
        f'"transfers":[["clearing:channel=card","order_escrow:coop={parties.coop}",10000]]}}'
    )
    assert entry.body_hash == hash_of(entry.salt, entry.body)


def test_an_account_is_created_once_with_its_owners(session: Session, parties: Parties):
    post_entry(session, parties.paid("payment:1"))
    post_entry(session, parties.paid("payment:2"))
    post_entry(session, parties.settled())

    household = session.scalars(select(Account).where(Account.household_id == parties.first)).one()
    assert household.account_key == AccountKey.household_payable(parties.coop, parties.first)
    assert row_counts(session) == (5, 3, 5)


def test_entries_come_back_in_the_order_of_their_drafts(session: Session, parties: Parties):
    keys = ["payment:9", "payment:1", "payment:5"]
    entries = post_entries(session, [parties.paid(key) for key in keys])
    assert [entry.idempotency_key for entry in entries] == keys


def test_entries_are_numbered_in_the_order_of_their_events(session: Session, parties: Parties):
    later = parties.paid("payment:a", occurred_at=NOON + timedelta(minutes=1))
    earlier = parties.paid("payment:b")
    numbers = [entry.id for entry in post_entries(session, [later, earlier])]
    assert numbers[0] > numbers[1]


def test_posting_nothing_writes_nothing(session: Session):
    assert post_entries(session, []) == []
    assert row_counts(session) == (0, 0, 0)


def test_a_transfer_for_a_household_that_does_not_exist_is_refused(session: Session, parties: Parties):
    draft = parties.paid(
        transfers=(
            TransferDraft(
                AccountKey.escrow(parties.coop), AccountKey.household_payable(parties.coop, 10**6), 5
            ),
        )
    )
    with pytest.raises(IntegrityError):
        post_entry(session, draft)
    session.rollback()
    assert row_counts(session) == (0, 0, 0)


# --- a key that comes again ---


def test_a_repeated_key_gives_back_the_first_entry(session: Session, parties: Parties, clock: Any):
    first = post_entry(session, parties.settled())
    before = row_counts(session)
    clock.advance(hours=1)

    assert post_entry(session, parties.settled()) is first
    assert post_entries(session, [parties.settled(), parties.settled()]) == [first, first]
    assert row_counts(session) == before


def test_a_retry_that_notes_another_time_or_person_is_the_same_event(session: Session, parties: Parties):
    first = post_entry(session, parties.paid())
    assert post_entry(session, parties.paid(occurred_at=NOON + timedelta(minutes=5))) is first


@pytest.mark.parametrize(
    "other",
    [
        {"kind": EntryKind.ADJUSTMENT, "reason": "更正"},
        {"subject": ("order_line", 18)},
        {"reason": "更正"},
        {"cooperative_id": None},
        {"amount_fen": 9_999},
    ],
)
def test_a_key_with_another_content_is_a_conflict(session: Session, parties: Parties, other: dict[str, Any]):
    post_entry(session, parties.paid())
    before = row_counts(session)

    with pytest.raises(Conflict) as refusal:
        post_entries(session, [parties.paid("payment:2"), parties.paid(**other)])
    assert refusal.value.code == "idempotency_key_reused"
    assert refusal.value.params == {"key": "payment:1"}
    assert row_counts(session) == before


def test_one_key_cannot_stand_for_two_contents_in_one_batch(session: Session, parties: Parties):
    with pytest.raises(Conflict):
        post_entries(session, [parties.paid(), parties.paid(amount_fen=1)])
    assert row_counts(session) == (0, 0, 0)


def test_a_batch_may_mix_new_and_posted_entries(session: Session, parties: Parties):
    first = post_entry(session, parties.paid("payment:1"))
    entries = post_entries(session, [parties.paid("payment:2"), parties.paid("payment:1")])
    assert entries[1] is first
    assert row_counts(session)[1] == 2


# --- many at once ---


def many(parties: Parties, count: int) -> list[EntryDraft]:
    return [replace(parties.settled(f"settlement:{n}"), subject=("order_line", n)) for n in range(count)]


def test_the_number_of_statements_does_not_grow_with_the_drafts(
    engine: Engine, session: Session, parties: Parties
):
    with counted(engine) as few:
        post_entries(session, many(parties, 2))
    with counted(engine) as renewed:
        post_entries(
            session, [replace(d, idempotency_key=f"again:{d.idempotency_key}") for d in many(parties, 900)]
        )
    with counted(engine) as repeated:
        post_entries(session, many(parties, 2))

    assert len(few) <= 7
    assert len(renewed) <= 5
    assert len(repeated) == 1


def posted_at_once(engine: Engine, batches: list[list[EntryDraft]]) -> list[Any]:
    """What each of the workers, started together with a batch of its own, ends with: entry ids or a refusal."""
    together = Barrier(len(batches))

    def work(drafts: list[EntryDraft]) -> Any:
        together.wait()
        try:
            with session_maker(engine).begin() as session:
                return sorted(entry.id for entry in post_entries(session, drafts))
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(batches)) as workers:
        return list(workers.map(work, batches))


def test_workers_posting_the_same_drafts_write_them_once(engine: Engine, session: Session, parties: Parties):
    session.commit()
    drafts = many(parties, 60)
    results = posted_at_once(engine, [drafts[::step] for step in (1, -1, 1, -1)])
    assert len(results[0]) == 60
    assert results == [results[0]] * 4
    assert row_counts(session) == (4, 60, 180)


def test_a_worker_that_comes_second_with_another_content_is_refused(
    engine: Engine, session: Session, parties: Parties
):
    session.commit()
    results = posted_at_once(engine, [[parties.paid(amount_fen=fen)] for fen in (100, 200)])
    assert "idempotency_key_reused" in results
    assert row_counts(session)[1:] == (1, 1)


def test_what_is_rolled_back_was_never_posted(session: Session, parties: Parties):
    session.commit()
    post_entry(session, parties.paid())
    session.rollback()
    assert session.scalars(select(Entry)).all() == []
    post_entry(session, parties.paid(amount_fen=7))
    assert row_counts(session)[1:] == (1, 1)
