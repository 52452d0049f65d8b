"""Payouts of the provider are found on the statements of the bank; what fits nothing waits for a person."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, User
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balances
from marketplace.payments.collecting.verify import CHECKS
from marketplace.payments.models import BankLine, BankLineState
from marketplace.payments.reconciliation.models import (
    ItemKind,
    PayoutArrival,
    ReconciliationItem,
    ReconciliationRun,
)
from marketplace.payments.reconciliation.moves import BEGINNING
from marketplace.payments.reconciliation.payouts import match_payouts, payout_by_ref, take_payout
from marketplace.payments.reconciliation.rules import reconcile_bank, reconcile_card
from marketplace.payments.statements import import_statement
from marketplace.payments.verify import CHECKS as PAYMENT_CHECKS
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import actor_with
from tests.factories.refunds import refunded
from tests.payments.collecting_world import Market
from tests.payments.stripe_world import StripeWorld
from tests.payments.test_reconciliation import DAY, Day, figures

HEADER = "交易流水号,交易日期,收入金额,对方户名,附言"


class Bank(Day):
    """A platform whose provider pays 90.00 yuan out to its bank."""

    def __init__(self, session: Session, stripe: StripeWorld, clock: HeldClock, files: FileStore) -> None:
        super().__init__(session, stripe, clock)
        self.files = files
        self.cashier: Actor = actor_with(Role.OPERATOR)
        self.pays(4)
        self.number = 0

    def payout(self, fen: int = 9_000) -> str:
        return self.stripe.client().v1.payouts.create({"amount": fen, "currency": "cny"}).id

    def statement(self, *rows: tuple[str, str, str], on: date = DAY) -> list[BankLine]:
        """Credits of (yuan, payer, remark)."""
        lines = [HEADER]
        for yuan, payer, remark in rows:
            self.number += 1
            lines.append(f"S{self.number:05d},{on:%Y-%m-%d},{yuan},{payer},{remark}")
        content = "\n".join(lines).encode()
        made = import_statement(
            self.session, self.cashier, self.files, content=content, file_name=f"{self.number}.csv"
        )
        query = select(BankLine).where(BankLine.statement_id == made.id).order_by(BankLine.id)
        return list(self.session.scalars(query))

    def arrivals(self) -> list[tuple[str, int, int]]:
        rows = self.session.scalars(select(PayoutArrival).order_by(PayoutArrival.id))
        return [(row.move.source_ref, row.payout_fen, row.line_fen) for row in rows]

    def findings(self) -> list[str]:
        checks = run_checks(self.session, (*PAYMENT_CHECKS, *CHECKS))
        return [str(finding) for result in checks for finding in result.findings]


@pytest.fixture
def bank(session: Session, stripe_emulator: StripeWorld, clock: HeldClock, files: FileStore) -> Bank:
    return Bank(session, stripe_emulator, clock, files)


@pytest.mark.parametrize("statement_first", [True, False])
def test_a_payout_and_its_credit_find_each_other_whichever_is_known_first(bank: Bank, statement_first: bool):
    ref = bank.payout()
    row = ("90.00", "STRIPE PAYMENTS", "")
    if statement_first:
        (line,) = bank.statement(row)
        assert line.state is BankLineState.QUEUED
        bank.ends()
        bank.compared()
    else:
        bank.ends()
        bank.compared()
        (line,) = bank.statement(row)
    assert (line.state, line.reason) == (BankLineState.MATCHED, None)
    assert bank.arrivals() == [(ref, 9_000, 9_000)]
    assert figures(reconcile_bank(bank.session, DAY)) == (9_000, 9_000, 0, 0)
    assert (bank.items(), bank.findings(), match_payouts(bank.session)) == ([], [], 0)


@pytest.mark.parametrize(
    "rows",
    [
        [("90.01", "STRIPE", "")],
        [("90.00", "某公司", "货款")],
        [("90.00", "STRIPE", "po_another")],
        [("90.00", "STRIPE", ""), ("90.00", "STRIPE", "")],
    ],
)
def test_what_is_not_surely_the_payout_waits_for_a_person(bank: Bank, rows: list[tuple[str, str, str]]):
    bank.payout()
    bank.ends()
    bank.compared()
    assert {line.state for line in bank.statement(*rows)} == {BankLineState.QUEUED}
    assert bank.arrivals() == []


def test_two_payouts_of_one_sum_are_told_apart_by_their_numbers(bank: Bank):
    refs = [bank.payout(5_000), bank.payout(5_000)]
    bank.ends()
    bank.compared()
    bank.statement(("50.00", "STRIPE", refs[1].upper()), ("50.00", "STRIPE", refs[0]))
    assert sorted(bank.arrivals()) == sorted((ref, 5_000, 5_000) for ref in refs)


def test_a_payout_is_on_its_way_for_a_week_and_then_missing(bank: Bank):
    ref = bank.payout()
    bank.ends()
    bank.compared()
    assert figures(reconcile_bank(bank.session, DAY)) == (0, 9_000, -9_000, 0)
    assert bank.items() == []
    bank.clock.advance(days=8)
    late = reconcile_bank(bank.session, DAY + timedelta(days=8))
    assert figures(late) == (0, 9_000, 0, -9_000)
    (item,) = bank.items()
    assert (item.key, item.kind, item.difference_fen) == (f"payout:{ref}", ItemKind.NOT_AT_CHANNEL, -9_000)
    bank.statement(("90.00", "STRIPE", ""), on=DAY + timedelta(days=8))
    again = reconcile_bank(bank.session, DAY + timedelta(days=8))
    assert figures(again) == (9_000, 9_000, 0, 0)
    assert [one.state.value for one in bank.items()] == ["cleared"]


def test_a_payout_that_the_bank_sent_back_is_awaited_no_more(bank: Bank, session: Session):
    ref = bank.payout()
    bank.stripe.control(f"payouts/{ref}/fail")
    bank.ends()
    assert figures(bank.compared()) == (19_880, 19_880, 0, 0)
    assert balances(session, [AccountKey.bank()])[AccountKey.bank()] == 0
    assert figures(reconcile_bank(session, DAY)) == (0, 0, 0, 0)
    (line,) = bank.statement(("90.00", "STRIPE", ""))
    assert line.state is BankLineState.QUEUED
    move = payout_by_ref(session, ref)
    with pytest.raises(Conflict):
        take_payout(session, bank.cashier, move, line_no=line.public_no, note="网银核对")
    assert bank.arrivals() == []


def test_a_person_takes_a_credit_of_another_sum_and_the_difference_is_to_be_explained(
    bank: Bank, session: Session
):
    ref = bank.payout()
    bank.ends()
    bank.compared()
    (line,) = bank.statement(("75.00", "某某清算中心", "代付"))
    move = payout_by_ref(session, ref)
    with pytest.raises(Refused):
        take_payout(session, bank.cashier, move, line_no=line.public_no, note=" ")
    with pytest.raises(NotFound):
        take_payout(session, bank.cashier, move, line_no="W-NOBODY", note="手续费")
    assert (bank.arrivals(), line.state) == ([], BankLineState.QUEUED)
    take_payout(session, bank.cashier, move, line_no=line.public_no, note="银行扣了 15 元手续费")
    assert (bank.arrivals(), line.state) == ([(ref, 9_000, 7_500)], BankLineState.RESOLVED)
    assert figures(reconcile_bank(session, DAY)) == (7_500, 9_000, 0, -1_500)
    (item,) = bank.items()
    assert (item.key, item.kind) == (f"payout:{ref}", ItemKind.AMOUNT_DIFFERS)
    assert bank.findings() == []


def test_the_database_refuses_another_sum_without_a_person(bank: Bank, session: Session):
    ref = bank.payout()
    bank.ends()
    bank.compared()
    (line,) = bank.statement(("75.00", "某某清算中心", "代付"))
    session.add(
        PayoutArrival(
            move_id=payout_by_ref(session, ref).id, line_id=line.id, payout_fen=9_000, line_fen=7_500
        )
    )
    with pytest.raises(IntegrityError):
        session.flush()


def test_the_cashier_s_pages_lead_from_the_payout_to_its_credit(
    bank: Bank, client: MarketClient, session: Session
):
    ref = bank.payout()
    bank.ends()
    bank.compared()
    (line,) = bank.statement(("90.00", "某某清算中心", "代付"))
    session.commit()
    client.sign_in(session.get_one(User, bank.cashier.user_id))
    assert ref in client.get("/cashier/payouts?state=awaited").text
    assert ref in client.get(f"/cashier/queue/{line.public_no}").text
    empty = client.post(f"/cashier/payouts/{ref}", data={})
    assert (empty.status_code, "请写明核对依据" in empty.text) == (422, True)
    assert "请选择这笔提现对应的银行流水" in empty.text
    typed = client.post(f"/cashier/payouts/{ref}", data={"line": "W-NOBODY", "note": "写了一半"})
    assert (typed.status_code, "写了一半" in typed.text) == (422, True)
    assert session.scalars(select(PayoutArrival)).all() == []
    done = client.post(
        f"/cashier/payouts/{ref}", data={"line": line.public_no, "note": "电话核对"}, follow_redirects=True
    )
    assert (done.status_code, "电话核对" in done.text) == (200, True)
    assert ref not in client.get("/cashier/payouts?state=awaited").text
    assert client.get("/cashier/payouts/po_nobody").status_code == 404


# --- transfers in the channel's comparison ---


@pytest.fixture
def market(session: Session, stripe_emulator: StripeWorld, clock: HeldClock) -> Market:
    return Market(session, stripe_emulator, clock)


def test_transfers_and_reversals_are_explained_fen_by_fen(market: Market, session: Session):
    market.ready()
    order = market.sells(2)
    kept = market.sells(2)
    market.work()
    refunded(session, order, 1)
    market.refunds_go_back()
    market.work()
    assert (len(market.transfers()), len(market.reversals())) == (2, 1)
    market.clock.advance(days=1)
    run = _run(market)
    # 200.00 less fees of 1.20, two transfers of 90.00, 45.00 back, 50.00 refunded
    assert figures(run) == (1_380, 1_380, 0, 0)
    assert _items(session) == []
    assert kept.parts[0].settled_at is not None


def test_a_planned_transfer_is_on_its_way_and_a_strange_one_is_a_difference(market: Market, session: Session):
    account = market.ready()
    market.sells(2)
    market.plan()
    market.client.v1.transfers.create(
        {"amount": 77, "currency": "cny", "destination": account.provider_ref or ""}
    )
    market.clock.advance(days=1)
    assert figures(_run(market)) == (9_863, 940, 9_000, -77)
    (item,) = _items(session)
    assert (item.kind, item.channel_fen, item.ledger_fen) == (ItemKind.NOT_IN_LEDGER, -77, 0)
    market.send()
    assert figures(_run(market))[3] == -77


def _run(market: Market) -> ReconciliationRun:
    moves = market.stripe.gateway().balance_moves(BEGINNING, market.clock.now)
    return reconcile_card(market.session, DAY, moves)


def _items(session: Session) -> list[ReconciliationItem]:
    return list(session.scalars(select(ReconciliationItem)))
