"""The demo is played through the real rules: what it leaves behind holds together, and the same seed repeats it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.app import OUTCOMES
from marketplace.audit.cli import CHECKS, audit
from marketplace.audit.recompute.run import recompute_everything
from marketplace.catalog.models import LinkageTerm, Listing, ListingState
from marketplace.catalog.stories.queries import newest_stories
from marketplace.core import clock as core_clock
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Refused
from marketplace.core.files import FileStore
from marketplace.demo.accounts import ACCOUNTS, PASSWORD, demo_accounts
from marketplace.demo.cli import demo
from marketplace.demo.load import load_demo
from marketplace.demo.scale import SCALES
from marketplace.demo.world import Tools
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry, User
from marketplace.identity.passwords import Passwords
from marketplace.ledger.checks import run_checks
from marketplace.linkage.late_corrections.models import LateCorrection
from marketplace.linkage.mechanisms.land_transfer.models import GrainPrice
from marketplace.linkage.mechanisms.share_cooperation.models import ShareResolution
from marketplace.linkage.models import (
    Charge,
    ChargeKind,
    Entitlement,
    LinkagePeriod,
    Mechanism,
    PeriodState,
)
from marketplace.ordering.models import Order, OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments.closing.models import Direction, GuaranteePosting, PeriodClosing
from marketplace.payments.corrections.models import CorrectionSet, CorrectionState
from marketplace.payments.invoices.models import Invoice, InvoiceKind, InvoiceState
from marketplace.payments.late_interest.models import InterestState, LateInterest
from marketplace.payments.models import (
    BankLine,
    Credit,
    LinkagePool,
    Payment,
    PaymentState,
    PoolDistribution,
    Settlement,
)
from marketplace.payments.payouts.models import BatchState, Payout, PayoutBatch, PayoutState
from marketplace.payments.purchase_certificates.models import PurchaseCertificate
from marketplace.payments.refunds.models import CreditReversal, Refund, RefundState
from marketplace.payments.vouchers.models import (
    BatchState as VouchersState,
    Voucher,
    VoucherBatch,
    VoucherReturn,
)
from marketplace.procurement.evaluations.models import Evaluation
from marketplace.procurement.quota.models import QuotaCover, QuotaFiling, ReservedQuotaRule
from marketplace.registry.models import (
    Cooperative,
    CooperativeState,
    Household,
    HouseholdMember,
    RosterImport,
)
from marketplace.registry.reviews.models import CaseState, Objection, ReviewCase
from marketplace.reporting.desk import tasks_of

SECRET = "whsec_of_the_demo"
WITHOUT_TASKS = {Role.UNIT_ORDERER, Role.AUDITOR, Role.SUPERVISOR}  # they look, or begin by themselves
TINY = SCALES["tiny"]


@pytest.fixture
def tools(files: FileStore, data_key: DataKey) -> Tools:
    return Tools(
        data_key=data_key,
        files=files,
        passwords=Passwords.with_costs(1, 8),
        outcomes=OUTCOMES,
        webhook_secret=SECRET,
    )


def load(session: Session, tools: Tools) -> None:
    load_demo(session, tools, scale="tiny", seed=7)


def total(session: Session, column: Any, *where: Any) -> int:
    return int(session.scalar(select(func.coalesce(func.sum(column), 0)).where(*where)) or 0)


def count(session: Session, model: Any, *where: Any) -> int:
    return session.scalar(select(func.count()).select_from(model).where(*where)) or 0


def planned_orders(session: Session) -> int:
    """The orders of the plan: all but those of vouchers."""
    of_vouchers = select(Voucher.order_id).where(Voucher.order_id.is_not(None))
    return count(session, Order, Order.id.not_in(of_vouchers))


def test_a_loaded_demo_holds_together_and_gives_every_role_its_work(session, tools, clock):
    load(session, tools)

    assert count(session, Cooperative, Cooperative.state == CooperativeState.ADMITTED) == TINY.cooperatives
    assert count(session, Household) == TINY.households
    assert count(session, Listing, Listing.state == ListingState.PUBLISHED) == TINY.listings
    assert planned_orders(session) == TINY.orders
    batches = session.scalars(select(VoucherBatch).order_by(VoucherBatch.id)).all()
    assert [batch.state for batch in batches] == [
        VouchersState.CLOSED,
        VouchersState.ISSUED,
        VouchersState.AWAITING,
    ]
    assert count(session, VoucherReturn, VoucherReturn.returned_at.is_not(None)) == 1
    assert {
        result.check.name: result.findings for result in run_checks(session, CHECKS) if result.findings
    } == {}
    assert recompute_everything(session).first == []

    shared = select(PoolDistribution.pool_id)
    pools = total(session, LinkagePool.pool_fen)
    waiting = total(session, LinkagePool.pool_fen, LinkagePool.id.not_in(shared))
    assert pools > 0
    assert total(session, Credit.amount_fen) + waiting == pools == total(session, Settlement.pool_fen)

    assert set(session.scalars(select(OrderPart.state))) == set(PartState)
    assert count(session, ReviewCase, ReviewCase.state == CaseState.OPEN) == 7
    assert count(session, Objection) == 2
    assert [(one.version, one.title) for one in newest_stories(session)] == [(2, "二十户人家的橙园")]
    assert {roster.rows_bad > 0 for roster in session.scalars(select(RosterImport))} == {True, False}

    assert [account.login_name for account in demo_accounts(session)] == list(ACCOUNTS)
    for login_name, role in ACCOUNTS.items():
        user = session.scalars(select(User).where(User.login_name == login_name)).one()
        assert user.role_codes == {role}
        assert tools.passwords.matches(user.password_hash, PASSWORD)
        assert tasks_of(session, actor_of(user)) or role in WITHOUT_TASKS, login_name


@pytest.mark.databases("sqlite")
def test_the_year_of_the_demo_has_every_mechanism_a_closed_year_refunds_payouts_and_a_correction(
    session, tools, clock
):
    load(session, tools)

    assert count(session, Evaluation) == count(session, OrderPart, OrderPart.evaluated_at.is_not(None)) > 0
    assert count(session, PurchaseCertificate) == 1

    assert_late_bills_and_invoices(session)
    assert_evidence_and_periods(session)
    assert_money_came_back(session)
    assert_money_went_out(session)
    assert_a_quota_is_in_force_and_its_change_waits(session)


def assert_late_bills_and_invoices(session: Session) -> None:
    """A late bill left its interest, another is overdue; invoices are in every state, one of them a red letter."""
    assert InterestState.OPEN in session.scalars(select(LateInterest.state)).all()
    overdue = select(Payment).where(Payment.state == PaymentState.OPEN, Payment.due_on < core_clock.today())
    assert session.scalars(overdue).first() is not None
    assert set(session.scalars(select(Invoice.state))) == set(InvoiceState)
    assert set(session.scalars(select(Invoice.kind))) == set(InvoiceKind)


def assert_evidence_and_periods(session: Session) -> None:
    for model in (Entitlement, Credit):
        assert set(session.scalars(select(model.mechanism).distinct())) == set(Mechanism)
    offered = session.scalars(select(LinkageTerm.mechanism).distinct())
    assert set(offered) == set(Mechanism)
    assert set(session.scalars(select(Charge.kind))) == set(ChargeKind)
    assert {price.year for price in session.scalars(select(GrainPrice))} == {2025, 2026}
    assert count(session, ShareResolution) == TINY.cooperatives
    assert count(session, LateCorrection) == TINY.cooperatives

    states = session.scalars(select(LinkagePeriod.state)).all()
    assert sorted(states) == [PeriodState.CLOSED] * TINY.cooperatives + [PeriodState.OPEN] * TINY.cooperatives
    closings = session.scalars(select(PeriodClosing)).all()
    assert all(closing.top_up_fen > 0 for closing in closings)
    assert sum(closing.village_fen for closing in closings) > 0
    assert set(session.scalars(select(GuaranteePosting.direction))) == set(Direction)

    shared = select(PoolDistribution.pool_id)
    assert total(session, LinkagePool.pool_fen, LinkagePool.id.not_in(shared)) > 0


def assert_money_came_back(session: Session) -> None:
    refunds = session.scalars(select(Refund.state)).all()
    assert refunds.count(RefundState.RETURNED) == 3
    assert [refunds.count(one) for one in (RefundState.AGREED, RefundState.DECLINED, RefundState.ASKED)] == [
        1
    ] * 3
    assert total(session, CreditReversal.relief_fen) > 0

    sets = session.scalars(select(CorrectionSet).order_by(CorrectionSet.id)).all()
    assert [found.state for found in sets] == [CorrectionState.POSTED, CorrectionState.PROPOSED]
    assert sets[0].taken_fen > 0
    assert sets[0].decided_by not in (None, sets[0].proposed_by)


def assert_money_went_out(session: Session) -> None:
    payouts = session.scalars(select(Payout).order_by(Payout.id)).all()
    failed = [payout for payout in payouts if payout.state is PayoutState.FAILED]
    assert len(failed) == 2
    paid_again = [
        payout
        for payout in payouts
        if payout.household_id == failed[0].household_id and payout.state is PayoutState.PAID
    ]
    assert paid_again
    assert all(payout.account_id != failed[0].account_id for payout in paid_again)
    batches = session.scalars(select(PayoutBatch)).all()
    assert [batch.state for batch in batches] == [*[BatchState.FINISHED] * 3, BatchState.PREPARED]
    assert [batch.county_code is None for batch in batches] == [True, True, False, True]
    assert all(batch.approved_by not in (None, batch.prepared_by) for batch in batches[:3])


def assert_a_quota_is_in_force_and_its_change_waits(session: Session) -> None:
    first, change = session.scalars(select(QuotaFiling).order_by(QuotaFiling.id)).unique()
    assert (first.reserve_fen, first.decision.is_confirmed, change.decision) == (11_000_000, True, None)
    cover = session.scalars(select(QuotaCover)).one()
    assert (cover.unit_id, cover.filing_id, change.amends_id) == (first.unit_id, first.id, first.id)
    assert {None, "36"} <= set(session.scalars(select(ReservedQuotaRule.region_code)))


def facts_of(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    """What a visitor could compare: numbers, names, amounts, days. Neither ids nor what is sealed."""
    asked = {
        "organisations": select(
            Cooperative.public_no, Cooperative.name, Cooperative.uscc, Cooperative.applied_at
        ),
        "people": select(HouseholdMember.public_no, HouseholdMember.person_no, HouseholdMember.name),
        "orders": select(Order.public_no, Order.total_fen, Order.placed_at, Order.recipient_name),
        "parts": select(OrderPart.public_no, OrderPart.state, OrderPart.total_fen, OrderPart.waybill_no),
        "lines": select(OrderLine.public_no, OrderLine.title, OrderLine.quantity, OrderLine.net_fen),
        "payments": select(Payment.public_no, Payment.remittance_code, Payment.state, Payment.paid_at),
        "bank": select(BankLine.serial_no, BankLine.amount_fen, BankLine.remark, BankLine.state),
        "entitlements": select(Entitlement.amount_fen, Entitlement.due_on, Entitlement.recorded_at),
        "credits": select(Credit.public_no, Credit.amount_fen, Credit.credited_at),
        "trail": select(TrailEntry.at, TrailEntry.action, TrailEntry.subject_no, TrailEntry.actor_name),
    }
    return {name: sorted(tuple(row) for row in session.execute(query)) for name, query in asked.items()}


@pytest.mark.databases("sqlite")
def test_the_same_seed_gives_the_same_demo(session, tools, clock):
    load(session, tools)
    first = facts_of(session)
    session.rollback()
    session.expunge_all()  # rows read anew meanwhile would otherwise outlive what was rolled back

    load(session, tools)
    assert facts_of(session) == first


def test_a_database_with_accounts_is_refused_and_left_as_it_is(session, tools, clock):
    session.add(User(login_name="somebody", display_name="陈生", password_hash="x"))
    session.flush()

    with pytest.raises(Refused) as refusal:
        load(session, tools)

    assert refusal.value.code == "not_empty"
    assert session.scalars(select(User.login_name)).all() == ["somebody"]
    assert count(session, Cooperative) == 0


@pytest.fixture
def production(app: Flask) -> Iterator[Flask]:
    settings = app.config["SETTINGS"]
    settings.environment = "production"
    yield app
    settings.environment = "test"


@pytest.mark.databases("sqlite")
def test_production_refuses_the_demo(production, session):
    answer = production.test_cli_runner().invoke(demo, ["load", "--scale", "tiny"])

    assert answer.exit_code == 1
    assert "not for production" in answer.output
    assert count(session, User) == 0


@pytest.mark.databases("sqlite")
def test_the_command_loads_once_and_the_accounts_are_printed(app, session, clock):
    run = app.test_cli_runner().invoke

    first = run(demo, ["load", "--scale", "tiny", "--seed", "3"])
    second = run(demo, ["load", "--scale", "tiny", "--seed", "3"])
    printed = run(demo, ["accounts"]).output.splitlines()

    assert first.exit_code == 0, first.output
    checked = run(audit, ["recompute"])
    assert checked.exit_code == 0, checked.output
    assert "2026-05" in first.output
    assert second.exit_code == 1
    assert planned_orders(session) == TINY.orders
    assert [line.split()[0] for line in printed] == list(ACCOUNTS)
    assert all(PASSWORD in line for line in printed)

    untouched = select(Credit).where(
        Credit.id.not_in(select(CreditReversal.credit_id).where(CreditReversal.credit_id > 0))
    )
    credit = session.scalars(untouched.order_by(Credit.id.desc()).limit(1)).one()
    tamper(session, credit)
    found = run(audit, ["recompute"])
    assert found.exit_code == 1
    assert f"入账 {credit.public_no}" in found.output
    assert f"存的是 {credit.amount_fen + 1} 分，重算是 {credit.amount_fen} 分" in found.output


def tamper(session: Session, credit: Credit) -> None:
    """Change one fen as somebody who owns the database could, past its triggers."""
    connection = session.connection()
    triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'credit'"
    for name in connection.exec_driver_sql(triggers).scalars().all():
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    connection.exec_driver_sql("UPDATE credit SET amount_fen = amount_fen + 1 WHERE id = ?", (credit.id,))
    session.commit()
