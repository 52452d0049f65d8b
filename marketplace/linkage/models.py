"""What ties a cooperative to its households: agreements, evidence, lots, linkage periods, entitlements.

Three facts are never merged: an entitlement (here) is what an agreement and its evidence say is owed; a credit is a
ledger posting from a settled order line; a payout is money that reached the household. What one mechanism keeps beyond
this (its terms, its kind of evidence) has tables of its own in mechanisms/.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import StoredFile
from marketplace.linkage.spans import Span, chained_by
from marketplace.registry.models import Cooperative, Household


class Mechanism(LabelledEnum):
    """The six linkage mechanisms of the 2020 work plan, in the order in which ties between them are broken."""

    CONTRACT_FARMING = "contract_farming", N_("订单生产")
    LAND_TRANSFER = "land_transfer", N_("土地流转")
    EMPLOYMENT = "employment", N_("就业务工")
    PRODUCTION_TRUSTEESHIP = "production_trusteeship", N_("生产托管")
    SHARE_COOPERATION = "share_cooperation", N_("股份合作")
    ASSET_LEASE = "asset_lease", N_("资产租赁")


class IncomeClass(LabelledEnum):
    """How statistics class the income of a mechanism."""

    OPERATING = "operating", N_("经营性收入")
    PROPERTY = "property", N_("财产性收入")
    WAGE = "wage", N_("工资性收入")


class Attribution(LabelledEnum):
    """Whether goods hold the household's own produce or labour, or a period's cost is spread over its sales."""

    DIRECT = "direct", N_("直接归因")
    ALLOCATED = "allocated", N_("分摊归因")


class AgreementState(LabelledEnum):
    """An agreement counts while active; ending it keeps everything that happened under it."""

    ACTIVE = "active", N_("生效中")
    ENDED = "ended", N_("已终止")


class Agreement(Base):
    """What one cooperative and one household agreed under one mechanism.

    From `ended_on` on it no longer holds, when it was ended before its term ran out.
    """

    __tablename__ = "agreement"
    __table_args__ = (
        Index("ix_agreement_cooperative", "cooperative_id", "mechanism", "state"),
        CheckConstraint("(state = 'ended') = (ended_on IS NOT NULL)", name="ended"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("A"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    state: Mapped[AgreementState] = mapped_column(
        code_of(AgreementState, "state"), default=AgreementState.ACTIVE
    )
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    ended_on: Mapped[date | None]

    cooperative: Mapped[Cooperative] = relationship()
    household: Mapped[Household] = relationship(lazy="joined")
    versions: Mapped[list[AgreementVersion]] = relationship(order_by="AgreementVersion.version")


class AgreementVersion(Base):
    """The terms in force over [valid_from, valid_to), evidence attached by hash.

    Append-only: terms change by a new version, which holds from its first day on in place of the one before. `terms`
    holds the mechanism's terms as it validated them (integers with their unit in the name).
    """

    __tablename__ = "agreement_version"
    __table_args__ = (
        UniqueConstraint("agreement_id", "version"),
        UniqueConstraint("agreement_id", "valid_from"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="valid_range"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), index=True)
    version: Mapped[int]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    terms: Mapped[dict[str, Any]] = mapped_column(JSON)
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    file_hash: Mapped[str | None] = mapped_column(String(64))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    agreement: Mapped[Agreement] = relationship(back_populates="versions")
    file: Mapped[StoredFile | None] = relationship()


class Lot(Base):
    """Produce received together, from which goods are sold.

    Mass balance stands in the row: what is committed to order lines and promised to orders agreed ahead never exceeds
    received x yield. The sums are moved with their causes, never typed.
    """

    __tablename__ = "lot"
    __table_args__ = (
        UniqueConstraint("cooperative_id", "lot_no"),
        CheckConstraint("yield_bp > 0 AND yield_bp <= 10000", name="yield"),
        CheckConstraint("received_g >= 0 AND committed_g >= 0 AND promised_g >= 0", name="not_negative"),
        CheckConstraint("(committed_g + promised_g) * 10000 <= received_g * yield_bp", name="mass_balance"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("L"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    lot_no: Mapped[str] = mapped_column(String(40))
    commodity: Mapped[str] = mapped_column(String(60))
    village_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    harvested_on: Mapped[date]
    yield_bp: Mapped[int]
    received_g: Mapped[int] = mapped_column(BigInteger, default=0)
    committed_g: Mapped[int] = mapped_column(BigInteger, default=0)
    promised_g: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    cooperative: Mapped[Cooperative] = relationship()


class PeriodState(LabelledEnum):
    """A linkage period takes evidence and credits until it is closed."""

    OPEN = "open", N_("进行中")
    CLOSED = "closed", N_("已关账")


class LinkagePeriod(Span, Base):
    """A span of days [starts_on, ends_on) of one cooperative over whose sales allocated costs are spread.

    Periods of a cooperative never overlap.
    """

    __tablename__ = "linkage_period"
    __table_args__ = (
        UniqueConstraint("cooperative_id", "starts_on"),
        *chained_by("linkage_period", "cooperative_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("P"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    state: Mapped[PeriodState] = mapped_column(code_of(PeriodState, "state"), default=PeriodState.OPEN)


class Evidence(Base):
    """A physical event under its global key: one weigh slip, one parcel-year. The same key never backs two claims.

    Append-only; the mechanism's own table holds the details under the same id.
    """

    __tablename__ = "evidence"
    __table_args__ = (Index("ix_evidence_agreement", "agreement_version_id"), {"info": APPEND_ONLY})

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("S"))
    key: Mapped[str] = mapped_column(String(120), unique=True)
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    agreement_version_id: Mapped[int] = mapped_column(ForeignKey("agreement_version.id"))
    occurred_on: Mapped[date]
    content_hash: Mapped[str] = mapped_column(String(64))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    agreement_version: Mapped[AgreementVersion] = relationship()


class Entitlement(Base):
    """What one piece of evidence entitles one household to, gross, in one scope.

    The scope is a lot (DIRECT) or a linkage period (ALLOCATED); the entitlements of a scope are the weights by which
    its pools are shared. Append-only; `inputs` holds what the amount was computed from.
    """

    __tablename__ = "entitlement"
    __table_args__ = (
        CheckConstraint("(lot_id IS NULL) <> (period_id IS NULL)", name="one_scope"),
        CheckConstraint("amount_fen >= 0", name="not_negative"),
        Index("ix_entitlement_lot", "lot_id", "mechanism", "household_id"),
        Index("ix_entitlement_period", "period_id", "mechanism", "household_id"),
        Index("ix_entitlement_household", "household_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    mechanism: Mapped[Mechanism] = mapped_column(code_of(Mechanism, "mechanism"))
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), index=True)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
    period_id: Mapped[int | None] = mapped_column(ForeignKey("linkage_period.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    due_on: Mapped[date]
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    rule_version: Mapped[int]
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    household: Mapped[Household] = relationship()
    evidence: Mapped[Evidence] = relationship()
    void: Mapped[EntitlementVoid | None] = relationship(viewonly=True)


class EntitlementVoid(Base):
    """That an entitlement weighs no more: a registry correction found its household ineligible on that day.

    Append-only, at most once for an entitlement. What was decided before `voided_at` stands as it was decided.
    `correction_no` is the public number of the correction set that two people agreed to.
    """

    __tablename__ = "entitlement_void"
    __table_args__ = (
        CheckConstraint("correction_no <> '' AND reason <> ''", name="cause"),
        Index("ix_entitlement_void_correction", "correction_no"),
        {"info": APPEND_ONLY},
    )

    entitlement_id: Mapped[int] = mapped_column(
        ForeignKey("entitlement.id"), primary_key=True, autoincrement=False
    )
    correction_no: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(300))
    voided_at: Mapped[datetime] = mapped_column(UtcInstant)


class ChargeKind(LabelledEnum):
    """What a household owes the cooperative under an agreement."""

    ADVANCE_REPAID = "advance_repaid", N_("归还预付款")
    SERVICE_FEE = "service_fee", N_("托管服务费")


class Charge(Base):
    """What a household owes its cooperative under one agreement: a document of its own, never an entitlement cut down.

    Collected only from money of the same agreement; what that does not cover stays outstanding. Append-only; `inputs`
    holds what the amount was computed from. One piece of evidence makes at most one charge of a kind.
    """

    __tablename__ = "charge"
    __table_args__ = (
        UniqueConstraint("evidence_id", "kind"),
        UniqueConstraint("id", "amount_fen"),  # what collections name, so that they stay within it
        CheckConstraint("amount_fen > 0", name="amount"),
        Index("ix_charge_agreement", "agreement_id", "kind"),
        Index("ix_charge_household", "household_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("K"))
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"))
    evidence_id: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    kind: Mapped[ChargeKind] = mapped_column(code_of(ChargeKind, "kind"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    charged_on: Mapped[date]
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON)
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    agreement: Mapped[Agreement] = relationship()
    evidence: Mapped[Evidence | None] = relationship()
