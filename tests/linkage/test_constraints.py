"""What the database refuses by itself, whoever writes to it."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import IntegrityError

from marketplace.linkage.mechanisms.contract_farming.models import WeighSlip
from marketplace.linkage.mechanisms.land_transfer.models import ParcelTransfer, ParcelYear, RentedSpan
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Lot,
)
from marketplace.linkage.spans import FOREVER, add_span, cut_span
from tests.factories.linkage import (
    ContractFactory,
    EntitlementFactory,
    EvidenceFactory,
    LeaseFactory,
    LotFactory,
    PeriodFactory,
    parcel_no,
    pay_rent,
    weigh,
)
from tests.factories.registry import CooperativeFactory, beneficiary_policy

DAY = date(2026, 5, 20)


def attempt(session, statement):
    """Run the statement to the point where a transaction would end."""
    with session.begin_nested():
        session.execute(statement)
        if session.bind.dialect.name == "postgresql":
            session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        elif session.execute(text("PRAGMA foreign_key_check")).first():
            raise IntegrityError("foreign_key_check", {}, ValueError("a reference without a target"))


def refuse(session, statement):
    with pytest.raises(IntegrityError):
        attempt(session, statement)


def span(model, key, starts_on, ends_on, previous=None, **more):
    return insert(model).values(
        **key, starts_on=starts_on, ends_on=ends_on, previous_ends_on=previous, **more
    )


def test_periods_of_a_cooperative_cannot_share_a_day(session):
    cooperative = CooperativeFactory()
    PeriodFactory(cooperative=cooperative)
    session.commit()
    key = {"cooperative_id": cooperative.id, "public_no": "P-1", "state": "open"}
    first, last = date(2026, 1, 1), date(2027, 1, 1)
    for starts_on, ends_on, previous in (
        (date(2026, 6, 1), date(2027, 6, 1), None),  # a second first span
        (date(2027, 6, 1), date(2028, 1, 1), None),
        (date(2026, 6, 1), date(2027, 6, 1), last),  # begins before the one before it has ended
        (date(2027, 2, 1), date(2028, 1, 1), date(2027, 1, 31)),  # follows one there is not
        (date(2025, 1, 1), last, date(2024, 1, 1)),  # the same end twice
        (last, last, last),  # no day
    ):
        refuse(session, span(LinkagePeriod, key, starts_on, ends_on, previous))
    session.execute(span(LinkagePeriod, key, last, date(2028, 1, 1), last))
    session.commit()
    assert first < last


def test_a_parcel_cannot_be_under_two_transfers_on_a_day(session):
    lease, other = LeaseFactory(), LeaseFactory()
    session.commit()
    key = {"parcel_no": parcel_no(lease.id), "agreement_id": other.id, "area_cmu": 1}
    refuse(session, span(ParcelTransfer, key, DAY, FOREVER))
    refuse(session, span(ParcelTransfer, key, DAY, date(2026, 6, 1)))
    refuse(session, span(ParcelTransfer, key, DAY, date(2026, 6, 1), FOREVER))
    refuse(session, span(ParcelTransfer, key, date(2025, 1, 1), DAY))  # the other is the first one
    refuse(session, span(ParcelTransfer, {**key, "parcel_no": parcel_no(9), "area_cmu": 0}, DAY, FOREVER))


def test_a_day_of_a_parcel_cannot_be_paid_for_twice(session, clock):
    beneficiary_policy()
    lease = LeaseFactory()
    PeriodFactory(cooperative=lease.cooperative)
    pay_rent(session, lease, ends_on=DAY)
    other = EvidenceFactory(agreement=lease)
    session.commit()
    key = {"parcel_no": parcel_no(lease.id), "evidence_id": other.id}
    refuse(session, span(RentedSpan, key, date(2026, 5, 19), date(2026, 6, 1)))
    refuse(session, span(RentedSpan, key, date(2026, 5, 19), date(2026, 6, 1), DAY))
    session.execute(span(RentedSpan, key, DAY, date(2026, 6, 1), DAY))
    session.commit()


def test_a_chain_is_cut_in_the_middle_and_holds(session):
    cooperative = CooperativeFactory()
    key = LinkagePeriod.cooperative_id
    periods = [
        add_span(
            session,
            key,
            LinkagePeriod(
                cooperative_id=cooperative.id, starts_on=date(year, 1, 1), ends_on=date(year + 1, 1, 1)
            ),
        )
        for year in (2024, 2025, 2026)
    ]
    cut_span(session, key, periods[1], ends_on=date(2025, 7, 1))
    assert periods[2].previous_ends_on == date(2025, 7, 1)
    cut_span(session, key, periods[1], ends_on=date(2024, 7, 1))
    assert periods[2].previous_ends_on == date(2025, 1, 1)
    cut_span(session, key, periods[0], ends_on=date(2023, 1, 1))
    assert periods[2].previous_ends_on is None
    session.commit()


def test_a_key_backs_one_claim(session):
    evidence = EvidenceFactory()
    session.commit()
    row = {column.name: getattr(evidence, column.name) for column in Evidence.__table__.columns}
    refuse(session, insert(Evidence).values({**row, "id": evidence.id + 1, "public_no": "S-OTHER"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"net_g": 0},
        {"net_g": -1},
        {"net_g": 50_000_001},
        {"market_price_fen_per_kg": 0},
        {"household_signer": ""},
        {"cooperative_signer": "陈大山"},
        {"lot_id": 999_999},
        {"id": 999_999},
    ],
)
def test_a_weigh_slip_that_cannot_be_is_not_kept(session, wrong):
    evidence = EvidenceFactory()
    lot = LotFactory(cooperative=evidence.agreement_version.agreement.cooperative)
    session.commit()
    row = {
        "id": evidence.id,
        "lot_id": lot.id,
        "slip_no": "1",
        "grade": "统货",
        "net_g": 1000,
        "market_price_fen_per_kg": None,
        "household_signer": "陈大山",
        "cooperative_signer": "罗春生",
    }
    refuse(session, insert(WeighSlip).values({**row, **wrong}))


def test_an_agreement_has_one_version_from_a_day_on_and_ends_on_a_day(session):
    agreement = ContractFactory()
    session.commit()
    row = {
        "agreement_id": agreement.id,
        "version": 2,
        "valid_from": DAY,
        "valid_to": None,
        "terms": {},
    }
    refuse(session, insert(AgreementVersion).values({**row, "version": 1}))
    refuse(session, insert(AgreementVersion).values({**row, "valid_from": date(2026, 1, 1)}))
    refuse(session, insert(AgreementVersion).values({**row, "valid_to": DAY}))
    refuse(session, update(Agreement).values(state="ended"))
    refuse(session, update(Agreement).values(ended_on=DAY))


def test_an_entitlement_lies_in_one_scope_and_is_never_negative(session):
    contract = ContractFactory()
    lot = LotFactory(cooperative=contract.cooperative)
    entitlement = EntitlementFactory(agreement=contract, lot=lot)
    period = PeriodFactory(cooperative=contract.cooperative)
    session.commit()
    row = {column.name: getattr(entitlement, column.name) for column in Entitlement.__table__.columns}
    row["id"] += 1
    refuse(session, insert(Entitlement).values({**row, "lot_id": None}))
    refuse(session, insert(Entitlement).values({**row, "period_id": period.id}))
    refuse(session, insert(Entitlement).values({**row, "amount_fen": -1}))


def test_a_lot_never_gives_more_than_it_received(session):
    lot = LotFactory(received_g=1000, yield_bp=2500)
    session.commit()
    refuse(session, update(Lot).where(Lot.id == lot.id).values(committed_g=251))
    refuse(session, update(Lot).where(Lot.id == lot.id).values(received_g=-1))
    session.execute(update(Lot).where(Lot.id == lot.id).values(committed_g=250))
    refuse(session, update(Lot).where(Lot.id == lot.id).values(received_g=999))


@pytest.mark.parametrize("model", [AgreementVersion, Evidence, Entitlement, WeighSlip, ParcelYear])
def test_history_is_neither_changed_nor_removed(session, clock, model):
    beneficiary_policy()
    contract, lease = ContractFactory(), LeaseFactory()
    weigh(session, contract, LotFactory(cooperative=contract.cooperative), slip_no="1", net_g=1000)
    PeriodFactory(cooperative=lease.cooperative)
    pay_rent(session, lease)
    session.commit()
    refuse(session, update(model).values(id=model.id))
    refuse(session, delete(model))
