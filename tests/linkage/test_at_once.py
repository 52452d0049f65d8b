"""Several people recording at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear
from marketplace.linkage.mechanisms.production_trusteeship.rules import record_yield
from marketplace.linkage.mechanisms.share_cooperation.models import ShareResolution
from marketplace.linkage.mechanisms.share_cooperation.rules import adopt_resolution
from marketplace.linkage.models import (
    Agreement,
    Charge,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Lot,
    Mechanism,
)
from marketplace.linkage.rules import open_period, record_weigh_slip, sign_agreement
from tests.factories.linkage import (
    CONTRACT_TERMS,
    ContractFactory,
    LotFactory,
    PeriodFactory,
    TrusteeshipFactory,
    lease_terms,
)
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at, beneficiary_policy
from tests.factories.shares import StakeFactory, decision, stake_terms

CLERKS = 8


@pytest.fixture
def at_once(engine):
    """Run a rule in so many sessions at once; answers what each came to: "done" or "refused"."""

    def one(work):
        with session_maker(engine)() as own:
            try:
                work(own)
                own.commit()
            except (Conflict, IntegrityError):
                return "refused"
            return "done"

    def run(*works):
        with ThreadPoolExecutor(len(works)) as pool:
            return sorted(pool.map(one, works))

    return run


def slip(agreement, lot, actor, slip_no):
    def work(own):
        record_weigh_slip(
            own,
            actor,
            agreement=own.get_one(Agreement, agreement.id),
            lot=own.get_one(Lot, lot.id),
            slip_no=slip_no,
            weighed_on=date(2026, 5, 20),
            grade="统货",
            net_g=1001,
            signatures=("陈大山", "罗春生"),
        )

    return work


@pytest.fixture
def scales(session):
    beneficiary_policy()
    agreement = ContractFactory()
    lot, actor = LotFactory(cooperative=agreement.cooperative), actor_at(agreement.cooperative)
    session.commit()
    return agreement, lot, actor


def test_a_lot_receives_every_gram_of_slips_recorded_at_once(session, at_once, scales):
    agreement, lot, actor = scales
    assert at_once(*(slip(agreement, lot, actor, str(n)) for n in range(CLERKS))) == ["done"] * CLERKS
    session.expire_all()
    assert session.get_one(Lot, lot.id).received_g == CLERKS * 1001
    assert session.scalar(select(func.sum(Entitlement.amount_fen))) == CLERKS * 851


def test_a_slip_recorded_twice_at_once_counts_once(session, at_once, scales):
    agreement, lot, actor = scales
    assert at_once(*(slip(agreement, lot, actor, "17") for _ in range(4))) == ["done"] + ["refused"] * 3
    session.expire_all()
    assert session.get_one(Lot, lot.id).received_g == 1001
    assert session.scalar(select(func.count(Evidence.id))) == 1


def test_a_period_opened_twice_at_once_is_opened_once(session, at_once):
    actor = actor_at(CooperativeFactory())
    session.commit()

    def opening(month):
        return lambda own: open_period(own, actor, starts_on=date(2026, month, 1), ends_on=date(2027, 1, 1))

    assert at_once(*(opening(month) for month in (1, 2, 3))) == ["done", "refused", "refused"]
    assert session.scalar(select(func.count(LinkagePeriod.id))) == 1


def test_a_parcel_is_taken_once_by_two_cooperatives_at_once(session, at_once):
    beneficiary_policy()
    enrolments = [EnrolmentFactory() for _ in range(3)]
    actors = [actor_at(one.cooperative) for one in enrolments]
    session.commit()

    def signing(actor, enrolment):
        return lambda own: sign_agreement(
            own,
            actor,
            household=own.merge(enrolment.household, load=False),
            mechanism=Mechanism.LAND_TRANSFER,
            valid_from=date(2026, 1, 1),
            valid_to=None,
            terms=lease_terms(5),
        )

    works = [signing(actor, enrolment) for actor, enrolment in zip(actors, enrolments, strict=True)]
    assert at_once(*works) == ["done", "refused", "refused"]
    assert session.scalar(select(func.count(Agreement.id))) == 1


def test_the_same_contract_sent_twice_at_once_is_signed_once(session, at_once):
    beneficiary_policy()
    enrolment = EnrolmentFactory()
    actor = actor_at(enrolment.cooperative)
    session.commit()

    def signing(own):
        sign_agreement(
            own,
            actor,
            household=own.merge(enrolment.household, load=False),
            mechanism=Mechanism.CONTRACT_FARMING,
            valid_from=date(2026, 1, 1),
            valid_to=None,
            terms=CONTRACT_TERMS,
        )

    assert at_once(signing, signing, signing) == ["done", "refused", "refused"]
    assert session.scalar(select(func.count(Agreement.id))) == 1


def test_a_certificate_signed_for_two_households_at_once_is_held_by_one(session, at_once):
    beneficiary_policy()
    cooperative = CooperativeFactory()
    enrolments = [EnrolmentFactory(cooperative=cooperative) for _ in range(3)]
    actor = actor_at(cooperative)
    session.commit()

    def signing(enrolment):
        return lambda own: sign_agreement(
            own,
            actor,
            household=own.merge(enrolment.household, load=False),
            mechanism=Mechanism.SHARE_COOPERATION,
            valid_from=date(2026, 1, 1),
            valid_to=None,
            terms=stake_terms("GQ-1"),
        )

    assert at_once(*(signing(one) for one in enrolments)) == ["done", "refused", "refused"]
    assert session.scalar(select(func.count(Agreement.id))) == 1


def test_a_surplus_shared_out_twice_at_once_is_shared_out_once(session, at_once):
    beneficiary_policy()
    stake = StakeFactory()
    period = PeriodFactory(
        cooperative=stake.cooperative, starts_on=date(2025, 1, 1), ends_on=date(2026, 1, 1)
    )
    actor = actor_at(stake.cooperative)
    session.commit()

    def adopting(number):
        return lambda own: adopt_resolution(
            own,
            actor,
            period=own.get_one(LinkagePeriod, period.id),
            decision=decision(resolution_no=f"2026-{number}"),
        )

    assert at_once(*(adopting(number) for number in range(3))) == ["done", "refused", "refused"]
    assert session.scalar(select(func.count(ShareResolution.id))) == 1
    assert session.scalar(select(func.count(Entitlement.id))) == 1


def test_a_season_recorded_twice_at_once_charges_its_fee_once(session, at_once):
    beneficiary_policy()
    trusteeship = TrusteeshipFactory()
    lot = LotFactory(cooperative=trusteeship.cooperative, commodity="稻谷")
    actor = actor_at(trusteeship.cooperative)
    session.commit()

    def recording(own):
        record_yield(
            own,
            actor,
            agreement=own.get_one(Agreement, trusteeship.id),
            lot=own.get_one(Lot, lot.id),
            year=2026,
            half=HalfYear.FIRST,
            actual_g=1_000,
            recorded_on=date(2026, 5, 20),
        )

    assert at_once(recording, recording, recording) == ["done", "refused", "refused"]
    session.expire_all()
    assert session.get_one(Lot, lot.id).received_g == 1_000
    assert session.scalar(select(func.count(Charge.id))) == 1
