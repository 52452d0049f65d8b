"""Agreements, lots, linkage periods, evidence and entitlements.

`ContractFactory(enrolment=…)` is a contract over 油茶籽 with a household that acknowledged its enrolment;
`LeaseFactory` a land transfer of one parcel. `EntitlementFactory(agreement=…, lot=…, amount_fen=…)` makes a household's
weight in a scope without the evidence's details; what the recording rules write is made by `weigh` and `pay_rent`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import factory
from sqlalchemy.orm import Session

from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt
from marketplace.linkage.mechanisms.asset_lease.rules import record_asset_rent
from marketplace.linkage.mechanisms.employment.days import Work
from marketplace.linkage.mechanisms.employment.rules import record_attendance
from marketplace.linkage.mechanisms.land_transfer.models import ParcelTransfer
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear
from marketplace.linkage.mechanisms.production_trusteeship.rules import record_yield
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Entitlement,
    Evidence,
    LinkagePeriod,
    Lot,
    Mechanism,
)
from marketplace.linkage.rules import record_parcel_year, record_weigh_slip
from marketplace.linkage.spans import FOREVER
from marketplace.registry.models import Cooperative, HouseholdMember
from tests.factories.base import RowFactory
from tests.factories.registry import VILLAGE, CooperativeFactory, EnrolmentFactory, RegionFactory, actor_at

COMMODITY = "油茶籽"
FIRST_DAY = date(2026, 1, 1)
CONTRACT_TERMS: dict[str, Any] = {
    "commodity": COMMODITY,
    "floor_price_fen_per_kg": 800,
    "premium_fen_per_kg": 50,
    "guarantee_days": 30,
}


def parcel_no(serial: int) -> str:
    """An invented 19-digit parcel code of 鳌溪村; another for each `serial`."""
    return f"{VILLAGE}01{serial:05d}"


def lease_terms(*serials: int, area_cmu: int = 1000, rate_fen_per_mu: int = 15_000) -> dict[str, Any]:
    """Terms of a land transfer of these parcels."""
    return {
        "right_certificate_no": f"{VILLAGE}010001J",
        "parcels": [{"parcel_no": parcel_no(serial), "area_cmu": area_cmu} for serial in serials],
        "rate_fen_per_mu": rate_fen_per_mu,
        "days_in_year": 365,
    }


class LotFactory(RowFactory):
    """A lot of 油茶籽 with nothing received yet."""

    class Meta:
        model = Lot

    class Params:
        cooperative = factory.SubFactory(CooperativeFactory)
        place = factory.SubFactory(RegionFactory)

    cooperative_id = factory.LazyAttribute(lambda lot: lot.cooperative.id)
    lot_no = factory.Sequence(lambda n: f"2026-{n:03d}")
    commodity = COMMODITY
    village_code = factory.LazyAttribute(lambda lot: lot.place.code)
    harvested_on = date(2026, 5, 1)
    yield_bp = 10_000


class PeriodFactory(RowFactory):
    """The linkage period of 2026. A further one of the same cooperative: name `previous_ends_on`."""

    class Meta:
        model = LinkagePeriod

    class Params:
        cooperative = factory.SubFactory(CooperativeFactory)

    cooperative_id = factory.LazyAttribute(lambda period: period.cooperative.id)
    starts_on = FIRST_DAY
    ends_on = date(2027, 1, 1)


class AgreementVersionFactory(RowFactory):
    """Terms in force from the beginning of 2026, without end."""

    class Meta:
        model = AgreementVersion

    version = 1
    valid_from = FIRST_DAY
    valid_to = None
    terms = factory.LazyFunction(lambda: dict(CONTRACT_TERMS))


class AgreementFactory(RowFactory):
    """An active agreement of an enrolled household; use ContractFactory or LeaseFactory."""

    class Meta:
        model = Agreement
        abstract = True

    class Params:
        enrolment = factory.SubFactory(EnrolmentFactory)

    cooperative_id = factory.LazyAttribute(lambda agreement: agreement.enrolment.cooperative_id)
    household_id = factory.LazyAttribute(lambda agreement: agreement.enrolment.household_id)
    version = factory.RelatedFactory(AgreementVersionFactory, "agreement")


class ContractFactory(AgreementFactory):
    """A contract over 油茶籽: floor 8.00, premium 0.50 yuan a kilogram, guaranteed after 30 days."""

    mechanism = Mechanism.CONTRACT_FARMING


class LeaseFactory(AgreementFactory):
    """A land transfer of one parcel of 10 mu at 150.00 yuan a mu, its parcel held from 2026 on."""

    mechanism = Mechanism.LAND_TRANSFER
    version = factory.RelatedFactory(
        AgreementVersionFactory,
        "agreement",
        terms=factory.LazyAttribute(lambda version: lease_terms(version.agreement.id)),
    )

    @factory.post_generation
    def held(self: Agreement, create: bool, extracted: object, **kwargs: object) -> None:
        """Hold the parcels, as signing does."""
        for parcel in self.versions[0].terms["parcels"]:
            ParcelTransferFactory(agreement_id=self.id, **parcel)


class ParcelTransferFactory(RowFactory):
    """A parcel held by an agreement."""

    class Meta:
        model = ParcelTransfer

    starts_on = FIRST_DAY
    ends_on = FOREVER


class EvidenceFactory(RowFactory):
    """Evidence without its mechanism's details."""

    class Meta:
        model = Evidence

    class Params:
        agreement = factory.SubFactory(ContractFactory)

    key = factory.Sequence(lambda n: f"test:{n}")
    mechanism = factory.LazyAttribute(lambda evidence: evidence.agreement.mechanism)
    agreement_version_id = factory.LazyAttribute(lambda evidence: evidence.agreement.versions[0].id)
    occurred_on = date(2026, 5, 20)
    content_hash = "0" * 64


class EntitlementFactory(RowFactory):
    """What a household is entitled to in the scope of `lot` or of `period`."""

    class Meta:
        model = Entitlement

    class Params:
        agreement = factory.SubFactory(ContractFactory)
        lot = None
        period = None

    household_id = factory.LazyAttribute(lambda entitlement: entitlement.agreement.household_id)
    cooperative_id = factory.LazyAttribute(lambda entitlement: entitlement.agreement.cooperative_id)
    mechanism = factory.LazyAttribute(lambda entitlement: entitlement.agreement.mechanism)
    evidence = factory.SubFactory(EvidenceFactory, agreement=factory.SelfAttribute("..agreement"))
    lot_id = factory.LazyAttribute(lambda entitlement: entitlement.lot.id if entitlement.lot else None)
    period_id = factory.LazyAttribute(
        lambda entitlement: entitlement.period.id if entitlement.period else None
    )
    amount_fen = 10_000
    due_on = date(2026, 6, 19)
    inputs = factory.LazyFunction(dict)
    rule_version = 1


def weigh(
    session: Session, agreement: Agreement, lot: Lot, *, slip_no: str, net_g: int, **fields: Any
) -> Evidence:
    """A weigh slip of 2026-05-20, recorded by the cooperative's manager."""
    slip: dict[str, Any] = {
        "weighed_on": date(2026, 5, 20),
        "grade": "统货",
        "signatures": ("陈大山", "罗春生"),
        **fields,
    }
    actor = actor_at(agreement.cooperative)
    return record_weigh_slip(
        session, actor, agreement=agreement, lot=lot, slip_no=slip_no, net_g=net_g, **slip
    )


def pay_rent(
    session: Session,
    agreement: Agreement,
    *,
    starts_on: date = FIRST_DAY,
    ends_on: date = date(2027, 1, 1),
    parcel: str | None = None,
) -> Evidence:
    """The rent of a parcel (the agreement's first when none is named), recorded by the cooperative's manager."""
    return record_parcel_year(
        session,
        actor_at(agreement.cooperative),
        agreement=agreement,
        parcel_no=parcel or agreement.versions[0].terms["parcels"][0]["parcel_no"],
        starts_on=starts_on,
        ends_on=ends_on,
    )


# --- production trusteeship ---

TRUSTEESHIP_TERMS: dict[str, Any] = {
    "commodity": "稻谷",
    "area_cmu": 1000,
    "fee_fen_per_mu": 12_000,
    "subsidy_fen_per_mu": 2_000,
    "guaranteed_g_per_mu": 450_000,
    "price_fen_per_kg": 280,
    "bonus_share_bp": 2000,
    "due_days": 30,
}


class TrusteeshipFactory(AgreementFactory):
    """10 mu of 稻谷: fee 120.00 less 20.00 yuan a mu, 450 kg a mu guaranteed at 2.80, 20 % bonus, due after 30 days."""

    mechanism = Mechanism.PRODUCTION_TRUSTEESHIP
    version = factory.RelatedFactory(
        AgreementVersionFactory, "agreement", terms=factory.LazyFunction(lambda: dict(TRUSTEESHIP_TERMS))
    )


def reap(session: Session, agreement: Agreement, lot: Lot, *, actual_g: int, **fields: Any) -> Evidence:
    """The yield of the first half of 2026, recorded on 2026-05-20 by the cooperative's manager."""
    yielded: dict[str, Any] = {
        "year": 2026,
        "half": HalfYear.FIRST,
        "recorded_on": date(2026, 5, 20),
        **fields,
    }
    actor = yielded.pop("actor", None) or actor_at(agreement.cooperative)
    return record_yield(session, actor, agreement=agreement, lot=lot, actual_g=actual_g, **yielded)


# --- employment ---


def work_terms(*persons: HouseholdMember, **fields: Any) -> dict[str, Any]:
    """These people at 15.00 yuan an hour, or at 0.80 yuan a jin picked; paid after 30 days."""
    return {
        "persons": sorted(person.public_no for person in persons),
        "rate_fen_per_hour": 1_500,
        "piece_rates": [{"kind": "采摘（斤）", "rate_fen": 80}],
        "payment_days": 30,
        **fields,
    }


class EmploymentFactory(AgreementFactory):
    """Everybody of the household may work, as `work_terms` says."""

    mechanism = Mechanism.EMPLOYMENT
    version = factory.RelatedFactory(
        AgreementVersionFactory,
        "agreement",
        terms=factory.LazyAttribute(lambda version: work_terms(*version.agreement.household.members)),
    )


def attend(session: Session, agreement: Agreement, *, minutes: int | None = 480, **fields: Any) -> Evidence:
    """Eight hours of the head of the household on 2026-05-20, recorded by the cooperative's manager."""
    attendance: dict[str, Any] = {
        "person": agreement.household.members[0],
        "worked_on": date(2026, 5, 20),
        **fields,
    }
    noted = ("piece_kind", "pieces", "starts_minute", "ends_minute")
    work = Work(minutes, **{name: attendance.pop(name) for name in noted if name in attendance})
    actor = attendance.pop("actor", None) or actor_at(agreement.cooperative)
    return record_attendance(session, actor, agreement=agreement, work=work, **attendance)


# --- asset lease ---

ASSET_TERMS: dict[str, Any] = {
    "asset_no": "ZC-2026-001",
    "lease_no": "租字-2026-01",
    "resolution_no": "村议〔2026〕3号",
    "plan_weight": 1,
    "retain_bp": 3000,
}


class AssetLeaseFactory(AgreementFactory):
    """One share in the rent of the asset ZC-2026-001, of which the village keeps 30 %."""

    mechanism = Mechanism.ASSET_LEASE
    version = factory.RelatedFactory(
        AgreementVersionFactory, "agreement", terms=factory.LazyFunction(lambda: dict(ASSET_TERMS))
    )


def receive_rent(
    session: Session, cooperative: Cooperative, *, rent_fen: int, **fields: Any
) -> AssetRentReceipt:
    """A rent of the asset ZC-2026-001 that 鳌溪村 received on 2026-05-20, recorded by the cooperative's manager."""
    rent: dict[str, Any] = {
        "asset_no": ASSET_TERMS["asset_no"],
        "receipt_no": "SJ-001",
        "received_on": date(2026, 5, 20),
        "village_code": VILLAGE,
        **fields,
    }
    actor = rent.pop("actor", None) or actor_at(cooperative)
    return record_asset_rent(session, actor, rent_fen=rent_fen, **rent)
