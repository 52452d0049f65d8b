"""Reading the ledger: balances, statements, a household's totals, who may read which entries."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entries, post_entry
from marketplace.ledger.queries import (
    HouseholdTotals,
    account_statement,
    balance,
    balances,
    entries_after,
    entries_of,
    entry_by_no,
    household_statement,
    household_totals,
    public_numbers,
)
from marketplace.registry.models import Cooperative
from tests.factories.identity import UserFactory, actor_with, official_with
from tests.factories.registry import OTHER_COUNTY_VILLAGE, CooperativeFactory, RegionFactory
from tests.ledger.conftest import NOON, Parties
from tests.ledger.test_posting import counted

TransferArguments = tuple[AccountKey, AccountKey, int]


def event(key: str, kind: EntryKind, *moves: TransferArguments, reverses: int | None = None) -> EntryDraft:
    return EntryDraft(
        kind=kind,
        idempotency_key=key,
        occurred_at=NOON,
        transfers=tuple(TransferDraft(*move) for move in moves),
        subject=("test", 1),
        reverses=reverses,
        reason="更正",
    )


def clerk_of(session: Session, cooperative_id: int) -> Actor:
    cooperative = session.get_one(Cooperative, cooperative_id)
    return actor_of(UserFactory(granted=(Role.COOPERATIVE_CLERK,), organisation=cooperative.organisation))


def test_balances_count_in_the_direction_of_their_account(session: Session, parties: Parties):
    post_entries(session, [parties.paid(), parties.settled()])
    found = {
        AccountKey.clearing("card"): 10_000,
        AccountKey.escrow(parties.coop): 0,
        AccountKey.cooperative_payable(parties.coop): 9_600,
        AccountKey.household_payable(parties.coop, parties.first): 300,
        AccountKey.household_payable(parties.coop, parties.second): 100,
        AccountKey.household_payable(parties.other_coop, parties.first): 0,
        AccountKey.bank(): 0,
    }
    assert balances(session, found.keys()) == found
    assert balance(session, AccountKey.escrow(parties.other_coop)) == 0


def test_balances_take_one_statement(engine: Engine, session: Session, parties: Parties):
    post_entries(session, [parties.paid(), parties.settled()])
    keys = [AccountKey.household_payable(parties.coop, number) for number in range(1, 3000)]
    with counted(engine) as statements:
        balances(session, keys)
    assert len(statements) == 1


def test_a_statement_runs_from_the_newest_row_to_the_oldest(session: Session, parties: Parties):
    post_entry(session, parties.settled("settlement:1", shares=(300,)))
    post_entry(session, parties.settled("settlement:2", shares=(50,)))
    own = AccountKey.household_payable(parties.coop, parties.first)
    post_entry(
        session,
        event("payout:1", EntryKind.PAYOUT_SENT, (own, AccountKey.payout_clearing(parties.coop), 200)),
    )

    rows = session.execute(account_statement(own)).all()
    assert [
        (row.Entry.idempotency_key, row.Account.kind.value, row.change_fen, row.balance_fen) for row in rows
    ] == [
        ("payout:1", "payout_clearing", -200, 150),
        ("settlement:2", "cooperative_payable", 50, 350),
        ("settlement:1", "cooperative_payable", 300, 300),
    ]


def test_a_page_of_a_statement_keeps_the_running_balance(session: Session, parties: Parties):
    post_entries(session, [parties.settled(f"settlement:{n}", shares=(10,)) for n in range(9)])
    query = account_statement(AccountKey.household_payable(parties.coop, parties.first))
    assert [row.balance_fen for row in session.execute(query.limit(3).offset(3))] == [60, 50, 40]


def test_a_household_sees_one_statement_over_all_its_cooperatives(session: Session, parties: Parties):
    post_entry(session, parties.settled(shares=(300,)))
    other = AccountKey.household_payable(parties.other_coop, parties.first)
    post_entry(
        session,
        event(
            "elsewhere",
            EntryKind.LINE_SETTLED,
            (AccountKey.cooperative_payable(parties.other_coop), other, 40),
        ),
    )
    rows = session.execute(household_statement(parties.first)).all()
    assert [(row.change_fen, row.balance_fen) for row in rows] == [(40, 340), (300, 300)]


def test_the_totals_of_a_household_add_up_to_its_balance(session: Session, parties: Parties):
    own = AccountKey.household_payable(parties.coop, parties.first)
    cooperative, sent = AccountKey.cooperative_payable(parties.coop), AccountKey.payout_clearing(parties.coop)
    settled = post_entry(session, parties.settled(shares=(1_000, 500)))
    guaranteed = post_entry(session, event("guarantee", EntryKind.GUARANTEE, (cooperative, own, 400)))
    post_entries(
        session,
        [
            event("pool", EntryKind.POOL_DISTRIBUTED, (AccountKey.unallocated(parties.coop), own, 70)),
            event("reduced", EntryKind.GUARANTEE_REDUCED, (own, cooperative, 100)),
            event("sent", EntryKind.PAYOUT_SENT, (own, sent, 900)),
            event("failed", EntryKind.PAYOUT_FAILED, (sent, own, 150)),
            event("back", EntryKind.REVERSAL, (own, cooperative, 250), reverses=settled.id),
            event("lifted", EntryKind.REVERSAL, (own, cooperative, 30), reverses=guaranteed.id),
            event("relief", EntryKind.RELIEF, (cooperative, own, 200)),
            event("fee", EntryKind.LATE_INTEREST, (own, cooperative, 5)),
        ],
    )
    totals = household_totals(session, [parties.first, parties.second, parties.third])
    assert totals == {
        parties.first: HouseholdTotals(
            credited_fen=1_000 + 70 - 250,
            guaranteed_fen=400 - 100 - 30,
            relief_fen=200,
            other_fen=-5,
            paid_out_fen=900 - 150,
        ),
        parties.second: HouseholdTotals(credited_fen=500),
        parties.third: HouseholdTotals(),
    }
    assert totals[parties.first].balance_fen == balance(session, own) == 535


def test_the_entries_of_a_subject_come_with_their_accounts(session: Session, parties: Parties):
    post_entries(
        session, [parties.paid(), parties.settled(), parties.paid("payment:2", subject=("order_line", 18))]
    )
    session.expire_all()
    entries = entries_of(session, "order_line", 17)
    assert [entry.kind for entry in entries] == [EntryKind.PAYMENT_RECEIVED, EntryKind.LINE_SETTLED]
    assert [transfer.debit_account.key for transfer in entries[0].transfers] == ["clearing:channel=card"]
    assert entries_of(session, "order_part", 17) == []


def test_a_cooperative_reads_its_own_entries_and_an_auditor_those_of_its_county(
    session: Session, parties: Parties
):
    own = post_entry(session, parties.paid())
    move = (AccountKey.clearing("card"), AccountKey.escrow(parties.other_coop), 1)
    foreign = post_entry(
        session, replace(event("other", EntryKind.REFUND, move), cooperative_id=parties.other_coop)
    )
    clerk, auditor = clerk_of(session, parties.coop), actor_with(Role.AUDITOR)

    assert entries_after(session, clerk, after=None, limit=10) == [own]
    assert entries_after(session, auditor, after=None, limit=10) == [own, foreign]
    assert entries_after(session, auditor, after=own.public_no, limit=10) == [foreign]
    assert entries_after(session, auditor, after=None, limit=1) == [own]
    assert entries_after(session, auditor, after=None, limit=9, kind=EntryKind.REFUND) == [foreign]
    assert entry_by_no(session, auditor, foreign.public_no) is foreign


def test_an_auditor_of_another_county_reads_none_of_them(session: Session, parties: Parties):
    entry = post_entry(session, parties.paid())
    stranger = actor_of(official_with(Role.AUDITOR, "360827"))
    assert entries_after(session, stranger, after=None, limit=10) == []
    with pytest.raises(NotFound):
        entry_by_no(session, stranger, entry.public_no)


def test_a_payment_shared_by_cooperatives_is_read_by_an_office_over_all_of_them(
    session: Session, parties: Parties
):
    distant = CooperativeFactory(place=RegionFactory(code=OTHER_COUNTY_VILLAGE))
    card = AccountKey.clearing("card")
    near = [(card, AccountKey.escrow(coop), 100) for coop in (parties.coop, parties.other_coop)]
    within = post_entry(session, event("paid:near", EntryKind.PAYMENT_RECEIVED, *near))
    across = post_entry(
        session,
        event("paid:far", EntryKind.PAYMENT_RECEIVED, near[0], (card, AccountKey.escrow(distant.id), 5)),
    )
    fee = post_entry(session, event("fee", EntryKind.ADJUSTMENT, (AccountKey.fees("card"), card, 1)))

    county, province = actor_with(Role.AUDITOR), actor_of(official_with(Role.AUDITOR, "36"))
    assert entries_after(session, county, after=None, limit=10) == [within, fee]
    assert entries_after(session, province, after=None, limit=10) == [within, across, fee]
    assert entries_after(session, clerk_of(session, parties.coop), after=None, limit=10) == []


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.UNIT_PAYER, Role.HOUSEHOLD, Role.OPERATOR])
def test_others_read_no_entries(session: Session, parties: Parties, role: Role):
    entry = post_entry(session, parties.paid())
    actor = actor_with(role)
    assert entries_after(session, actor, after=None, limit=10) == []
    with pytest.raises(NotFound):
        entry_by_no(session, actor, entry.public_no)


def test_the_entry_of_another_cooperative_is_not_found(session: Session, parties: Parties):
    entry = post_entry(session, parties.paid())
    stranger = clerk_of(session, parties.other_coop)
    for number in (entry.public_no, "J-FORGED"):
        with pytest.raises(NotFound):
            entry_by_no(session, stranger, number)
        with pytest.raises(NotFound):
            entries_after(session, stranger, after=number, limit=10)


def test_a_page_of_entries_takes_a_fixed_number_of_statements(
    engine: Engine, session: Session, parties: Parties
):
    post_entries(session, [parties.settled(f"settlement:{n}") for n in range(40)])
    auditor = actor_with(Role.AUDITOR)
    sent = []
    for limit in (1, 40):
        session.expire_all()
        with counted(engine) as statements:
            entries = entries_after(session, auditor, after=None, limit=limit)
            numbers = public_numbers(session, entries)
        sent.append(len(statements))
        assert len(entries) == limit
        assert set(numbers.households) == {parties.first, parties.second}
    assert sent[0] == sent[1]
