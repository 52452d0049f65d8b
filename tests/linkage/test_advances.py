"""Advances: given against a receipt, repaid slip by slip by at most the agreed share, never by more than is owed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.identity.models import Role, TrailEntry
from marketplace.linkage.mechanisms.contract_farming.advances import record_advance
from marketplace.linkage.mechanisms.contract_farming.mechanism import explain
from marketplace.linkage.mechanisms.contract_farming.models import Advance
from marketplace.linkage.mechanisms.contract_farming.queries import advance_standing
from marketplace.linkage.models import Agreement, Charge, ChargeKind, Entitlement, Evidence, PeriodState
from marketplace.linkage.queries import recompute_entitlement
from tests.factories.identity import actor_with
from tests.factories.linkage import (
    CONTRACT_TERMS,
    ContractFactory,
    LeaseFactory,
    LotFactory,
    PeriodFactory,
    weigh,
)
from tests.factories.registry import EnrolmentFactory, actor_at, beneficiary_policy, user_of

pytestmark = pytest.mark.usefixtures("clock")

GIVEN = date(2026, 4, 1)
HALF = {**CONTRACT_TERMS, "cap_bp": 5000}


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def agreement(session):
    return ContractFactory(version__terms=HALF)


@pytest.fixture
def lot(session, agreement):
    return LotFactory(cooperative=agreement.cooperative)


def advance(session: Session, agreement: Agreement, **fields: Any) -> Advance:
    """An advance of 100.00 yuan on 1 April, recorded by the cooperative's manager."""
    given: dict[str, Any] = {"receipt_no": "YF-1", "amount_fen": 10_000, "given_on": GIVEN, **fields}
    return record_advance(session, actor_at(agreement.cooperative), agreement=agreement, **given)


def charges(session: Session) -> list[int]:
    return list(session.scalars(select(Charge.amount_fen).order_by(Charge.id)))


def recorded(session: Session) -> tuple[int | None, ...]:
    tables = (Evidence, Advance, Charge, Entitlement, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def test_an_advance_stands_under_its_receipt(session, agreement):
    given = advance(session, agreement, receipt_no=" yf-7 ")
    evidence = session.get_one(Evidence, given.id)
    assert evidence.key == f"advance:{agreement.cooperative.uscc}:YF-7"
    assert (evidence.occurred_on, given.amount_fen, given.receipt_no) == (GIVEN, 10_000, "YF-7")
    assert session.scalar(select(func.count(Entitlement.id))) == 0


def test_each_slip_repays_at_most_the_agreed_share(session, agreement, lot):
    advance(session, agreement)
    weigh(session, agreement, lot, slip_no="1", net_g=12_500)  # 106.25 yuan, half of it 53.125
    weigh(session, agreement, lot, slip_no="2", net_g=12_500)  # what is left: 46.88
    weigh(session, agreement, lot, slip_no="3", net_g=12_500)  # nothing more
    assert charges(session) == [5312, 4688]
    assert advance_standing(session, agreement).outstanding_fen == 0
    amounts = session.scalars(select(Entitlement.amount_fen).order_by(Entitlement.id)).all()
    assert amounts == [10_625, 10_625, 10_625]  # entitlements stay gross


def test_a_charge_says_what_it_was_computed_from(session, agreement, lot):
    advance(session, agreement)
    evidence = weigh(session, agreement, lot, slip_no="1", net_g=12_500)
    charge = session.scalars(select(Charge)).one()
    assert (charge.agreement_id, charge.evidence_id) == (agreement.id, evidence.id)
    assert (charge.household_id, charge.cooperative_id) == (agreement.household_id, agreement.cooperative_id)
    assert (charge.kind, charge.charged_on) == (ChargeKind.ADVANCE_REPAID, date(2026, 5, 20))
    assert charge.inputs == {
        "outstanding_fen": 10_000,
        "gross_fen": 10_625,
        "cap_bp": 5000,
        "rule_version": 2,
    }


def test_a_slip_with_a_repayment_is_computed_again_to_the_same_fen(session, agreement, lot):
    advance(session, agreement)
    weigh(session, agreement, lot, slip_no="1", net_g=12_500)
    weigh(session, agreement, lot, slip_no="2", net_g=12_500)
    session.commit()
    session.expire_all()
    for entitlement in session.scalars(select(Entitlement)).all():
        again = recompute_entitlement(session, entitlement)
        assert (again.amount_fen, again.due_on, again.inputs, again.rule_version) == (
            entitlement.amount_fen,
            entitlement.due_on,
            entitlement.inputs,
            2,
        )


def test_the_page_tells_gross_charge_and_net(session, agreement, lot):
    advance(session, agreement)
    weigh(session, agreement, lot, slip_no="1", net_g=12_500)
    lines = explain(session.scalars(select(Entitlement)).one().inputs)
    told = {line.label: line.text % line.params for line in lines}
    assert told["应得合计"] == "106.25 元"
    assert told["归还预付款"] == "53.12 元（此前未还 100.00 元）"
    assert told["抵扣后"] == "53.13 元"


def test_a_slip_weighed_before_the_advance_repays_nothing(session, agreement, lot):
    advance(session, agreement)
    weigh(session, agreement, lot, slip_no="1", net_g=12_500, weighed_on=date(2026, 3, 31))
    assert charges(session) == []
    assert advance_standing(session, agreement).outstanding_fen == 10_000


def test_a_contract_without_a_share_repays_nothing(session):
    plain = ContractFactory()
    advance(session, plain)
    weigh(session, plain, LotFactory(cooperative=plain.cooperative), slip_no="1", net_g=12_500)
    assert charges(session) == []
    assert session.scalars(select(Entitlement.rule_version)).one() == 1


def test_the_whole_of_a_slip_may_repay(session, lot):
    agreement = ContractFactory(version__terms={**CONTRACT_TERMS, "cap_bp": 10_000})
    advance(session, agreement, amount_fen=10_000_000)
    weigh(session, agreement, LotFactory(cooperative=agreement.cooperative), slip_no="1", net_g=12_500)
    assert charges(session) == [10_625]


def test_an_advance_of_one_household_is_not_repaid_by_another(session, agreement, lot):
    advance(session, agreement)
    other = ContractFactory(version__terms=HALF)
    weigh(session, other, LotFactory(cooperative=other.cooperative), slip_no="1", net_g=12_500)
    assert charges(session) == []


def test_a_receipt_used_twice_is_refused_saying_when(session, agreement):
    advance(session, agreement)
    before = recorded(session)
    with pytest.raises(Conflict) as refusal:
        advance(session, agreement, receipt_no="yf-1", amount_fen=500)
    assert str(refusal.value) == "收条 YF-1 已在 2026-04-01 记过，没有重复记录"
    assert refusal.value.field == "receipt_no"
    assert recorded(session) == before


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"amount_fen": 0}, "amount", "amount_fen"),
        ({"amount_fen": -1}, "amount", "amount_fen"),
        ({"amount_fen": 10_000_001}, "amount", "amount_fen"),
        ({"receipt_no": " "}, "receipt_no", "receipt_no"),
        ({"receipt_no": "第三号"}, "receipt_no", "receipt_no"),
        ({"given_on": date(2026, 6, 2)}, "future_day", "given_on"),
        ({"given_on": date(2025, 12, 31)}, "before_agreement", "given_on"),
    ],
)
def test_an_advance_that_cannot_be_is_refused(session, agreement, fields, code, field):
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        advance(session, agreement, **fields)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert recorded(session) == before


def test_an_advance_in_a_closed_period_is_refused(session, agreement):
    PeriodFactory(cooperative=agreement.cooperative, state=PeriodState.CLOSED)
    before = recorded(session)
    with pytest.raises(Refused) as refusal:
        advance(session, agreement)
    assert refusal.value.code == "closed_period"
    assert recorded(session) == before


def test_only_contracts_of_ones_own_take_advances(session, agreement):
    fields = {"receipt_no": "1", "amount_fen": 100, "given_on": GIVEN}
    lease = LeaseFactory()
    with pytest.raises(Refused) as refusal:
        advance(session, lease)
    assert refusal.value.code == "wrong_mechanism"
    with pytest.raises(NotFound):
        record_advance(session, actor_at(lease.cooperative), agreement=agreement, **fields)
    with pytest.raises(Forbidden):
        record_advance(session, actor_with(Role.AUDITOR), agreement=agreement, **fields)
    assert session.scalar(select(func.count(Advance.id))) == 0


@pytest.mark.parametrize("table", ["advance", "charge"])
def test_advances_and_charges_are_never_changed(session, agreement, lot, table):
    advance(session, agreement)
    weigh(session, agreement, lot, slip_no="1", net_g=12_500)
    session.commit()
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text(f"UPDATE {table} SET amount_fen = 1"))
    session.rollback()
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text(f"DELETE FROM {table}"))
    session.rollback()


# --- pages ---


@pytest.fixture
def office(session, client, agreement):
    clerk = user_of(agreement.cooperative, Role.COOPERATIVE_CLERK)
    session.commit()
    client.sign_in(clerk)
    return client


def test_an_advance_is_recorded_on_its_page(session, office, agreement, lot):
    address = f"/linkage/agreements/{agreement.public_no}/advances"
    assert "还没有预付款" in office.get(address).text
    typed = {"receipt_no": "YF-9", "amount_fen": "100", "given_on": "2026-04-01"}
    office.post(address, data=typed)
    session.expire_all()
    assert session.scalars(select(Advance.amount_fen)).all() == [10_000]
    again = office.post(address, data=typed)
    assert (again.status_code, "没有重复记录" in again.text) == (422, True)
    weigh(session, agreement, lot, slip_no="1", net_g=12_500)
    session.commit()
    page = office.get(address).text
    assert all(amount in page for amount in ("YF-9", "100.00", "53.12", "46.88"))
    shown = office.get(f"/linkage/agreements/{agreement.public_no}").text
    assert "其中应扣" in shown
    assert "53.13" in shown


def test_a_contract_is_signed_with_its_later_terms(session, office, agreement):
    other = EnrolmentFactory(cooperative=agreement.cooperative)
    session.commit()
    typed = {
        "commodity": "脐橙",
        "floor_price_fen_per_kg": "8",
        "guarantee_days": "30",
        "valid_from": "2026-01-01",
        "cap_bp": "50",
        "quota_g": "1000",
        "bonus_share_bp": "10",
    }
    address = f"/linkage/agreements/new/{other.household.public_no}/contract_farming"
    half = office.post(address, data={**typed, "bonus_share_bp": ""})
    assert (half.status_code, "约定交货量和超量奖励要一起填" in half.text) == (422, True)
    assert '<details class="more-fields" open>' in half.text
    office.post(address, data=typed)
    signed = session.scalars(select(Agreement).where(Agreement.household_id == other.household_id)).one()
    terms = signed.versions[0].terms
    assert (terms["cap_bp"], terms["quota_g"], terms["bonus_share_bp"]) == (5000, 1_000_000, 1000)
    assert "1,000 千克" in office.get(f"/linkage/agreements/{signed.public_no}").text


def test_the_advances_of_another_cooperative_are_not_there(session, office):
    other, lease = ContractFactory(), LeaseFactory()
    session.commit()
    for agreement in (other, lease):
        assert office.get(f"/linkage/agreements/{agreement.public_no}/advances").status_code == 404
