"""Charges: documents beside entitlements, exact when several slips are recorded at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import session_maker
from marketplace.linkage.evidence import add_charge
from marketplace.linkage.mechanisms.contract_farming.advances import record_advance
from marketplace.linkage.mechanisms.contract_farming.queries import advance_standing
from marketplace.linkage.models import Agreement, Charge, ChargeKind, Entitlement, Lot
from marketplace.linkage.rules import record_weigh_slip
from tests.factories.linkage import CONTRACT_TERMS, ContractFactory, EvidenceFactory, LotFactory
from tests.factories.registry import actor_at, beneficiary_policy

DAY = date(2026, 5, 20)
SLIPS = 6
TERMS = {**CONTRACT_TERMS, "cap_bp": 5000, "quota_g": 3_000, "bonus_share_bp": 1000}


def charge(session, agreement, **fields):
    owed = {"kind": ChargeKind.SERVICE_FEE, "amount_fen": 100, "charged_on": DAY, "inputs": {}, **fields}
    return add_charge(session, owed.pop("evidence", None), agreement, **owed)


@pytest.fixture
def agreement(session):
    beneficiary_policy()
    return ContractFactory(version__terms=TERMS)


@pytest.mark.parametrize("amount_fen", [0, -1])
def test_a_charge_is_of_at_least_a_fen(session, agreement, amount_fen):
    with pytest.raises(ValueError, match="at least one fen"):
        charge(session, agreement, amount_fen=amount_fen)
    assert session.scalar(select(func.count(Charge.id))) == 0


def test_the_database_refuses_a_charge_of_nothing(session, agreement):
    charged = charge(session, agreement)
    columns = {name: getattr(charged, name) for name in ("agreement_id", "household_id", "cooperative_id")}
    session.add(Charge(kind=ChargeKind.SERVICE_FEE, amount_fen=0, charged_on=DAY, inputs={}, **columns))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_one_piece_of_evidence_makes_one_charge_of_a_kind(session, agreement):
    evidence = EvidenceFactory(agreement=agreement)
    charge(session, agreement, evidence=evidence)
    charge(session, agreement, evidence=evidence, kind=ChargeKind.ADVANCE_REPAID)
    with pytest.raises(IntegrityError):
        charge(session, agreement, evidence=evidence)
    session.rollback()


def test_slips_at_once_repay_no_more_than_was_advanced(session, engine, clock, agreement):
    actor, lot = actor_at(agreement.cooperative), LotFactory(cooperative=agreement.cooperative)
    record_advance(session, actor, agreement=agreement, receipt_no="1", amount_fen=1000, given_on=DAY)
    session.commit()

    def record(serial: int) -> None:
        with session_maker(engine)() as own:
            record_weigh_slip(
                own,
                actor,
                agreement=own.get_one(Agreement, agreement.id),
                lot=own.get_one(Lot, lot.id),
                slip_no=str(serial),
                weighed_on=DAY,
                grade="统货",
                net_g=1000,
                signatures=("陈大山", "罗春生"),
            )
            own.commit()

    with ThreadPoolExecutor(SLIPS) as pool:
        list(pool.map(record, range(SLIPS)))
    session.expire_all()
    repaid = session.scalars(select(Charge.amount_fen).order_by(Charge.id)).all()
    assert repaid == [425, 425, 150]  # half of 8.50 each, then what was left of 10.00
    assert advance_standing(session, agreement).outstanding_fen == 0
    amounts = sorted(session.scalars(select(Entitlement.amount_fen)).all())
    assert amounts == [850] * 3 + [935] * 3  # three kilograms of quota, then ten per cent more
