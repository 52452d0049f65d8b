"""Whatever is posted, the books balance, a repetition changes nothing, and the checks agree."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries
from marketplace.ledger.queries import balances
from marketplace.ledger.verify import CHECKS
from tests.ledger.conftest import NOON, Parties, row_counts

WITHIN_ONE_DATABASE = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # every example is rolled back
)
Move = tuple[int, int, int]  # two different accounts of the list below, and an amount
MOVES = st.tuples(st.integers(0, 7), st.integers(0, 6), st.integers(1, 10**12)).map(
    lambda move: (move[0], move[1] + (move[1] >= move[0]), move[2])
)
KINDS = ["payment_received", "refund"]
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["payment_received", "refund"]),
        st.lists(MOVES, min_size=1, max_size=4),
    ),
    max_size=6,
    unique_by=lambda event: event[0],
)


def accounts(parties: Parties) -> list[AccountKey]:
    """Accounts of one cooperative and of nobody, so that any two may stand on the two sides of a transfer."""
    return [
        AccountKey.clearing("card"),
        AccountKey.clearing("bank_transfer"),
        AccountKey.buyer_receivable(parties.unit),
        AccountKey.escrow(parties.coop),
        AccountKey.cooperative_payable(parties.coop),
        AccountKey.household_payable(parties.coop, parties.first),
        AccountKey.household_payable(parties.coop, parties.second),
        AccountKey.bank(),
    ]


def drafts_of(parties: Parties, events: list[tuple[int, str, list[Move]]]) -> list[EntryDraft]:
    keys = accounts(parties)
    return [
        EntryDraft(
            kind=EntryKind(kind),
            idempotency_key=f"event:{number}",
            occurred_at=NOON,
            transfers=tuple(TransferDraft(keys[debit], keys[credit], fen) for debit, credit, fen in moves),
            subject=("event", number),
            cooperative_id=parties.coop,
        )
        for number, kind, moves in events
    ]


@WITHIN_ONE_DATABASE
@given(events=EVENTS)
def test_balances_are_the_sums_of_what_was_posted_and_add_up_to_zero(
    session: Session, parties: Parties, events: list[tuple[int, str, list[Move]]]
):
    with session.begin_nested() as example:
        drafts = drafts_of(parties, events)
        post_entries(session, drafts)
        expected: dict[AccountKey, int] = defaultdict(int)
        for draft in drafts:
            for transfer in draft.transfers:
                expected[transfer.debit] += transfer.debit.sign * transfer.amount_fen
                expected[transfer.credit] -= transfer.credit.sign * transfer.amount_fen
        found = balances(session, accounts(parties))
        assert found == {key: expected[key] for key in accounts(parties)}
        assert sum(key.sign * fen for key, fen in found.items()) == 0
        example.rollback()


@WITHIN_ONE_DATABASE
@given(events=EVENTS, data=st.data())
def test_posting_again_in_any_order_changes_nothing(
    session: Session, parties: Parties, events: list[tuple[int, str, list[Move]]], data: st.DataObject
):
    with session.begin_nested() as example:
        drafts = drafts_of(parties, events)
        first = {entry.idempotency_key: entry.id for entry in post_entries(session, drafts)}
        before = row_counts(session)
        again: list[Any] = post_entries(session, data.draw(st.permutations(drafts)) if drafts else [])
        assert {entry.idempotency_key: entry.id for entry in again} == first
        assert row_counts(session) == before
        example.rollback()


@WITHIN_ONE_DATABASE
@given(events=EVENTS)
def test_the_checks_find_nothing_but_balances_that_went_below_zero(
    session: Session, parties: Parties, events: list[tuple[int, str, list[Move]]]
):
    with session.begin_nested() as example:
        post_entries(session, drafts_of(parties, events))
        found = balances(session, accounts(parties))
        held = [accounts(parties)[3], accounts(parties)[5], accounts(parties)[6]]
        below = {key.text for key in held if found[key] < 0}
        findings = [finding for result in run_checks(session, CHECKS) for finding in result.findings]
        assert {finding.params["account"] for finding in findings} == below
        example.rollback()
