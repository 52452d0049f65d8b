"""Reserved quotas: rules of a place and year, filings with evidence and decision, shared canteens, whom one covers.

Rules, filings and decisions are history: what changes is a further version. Which filing holds for a unit and year is
`QuotaCover`: its key is (unit, year), so that no unit is covered twice, alone or through a shared canteen.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.identity.models import StoredFile, User
from marketplace.registry.models import BuyerUnit, Region

FIRST_YEAR, LAST_YEAR = 2021, 2100
LEAST_BASE_FEN = 100_000  # 1,000.00 yuan a year
MOST_BASE_FEN = 50_000_000_000  # 500 million yuan a year
YEARS = f"year BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
NATIONAL, REPRESENTATIVE = text("region_code IS NULL"), text("is_representative")


class ReservedQuotaRule(Base):
    """What a place asks of its units in a year: the least reserved share, the last day to file, what counts.

    `region_code` is None for the whole country. `category_codes` are branches of the category tree, empty when all
    goods count. Append-only: a correction is a further version; filings keep the version they were made under.
    """

    __tablename__ = "reserved_quota_rule"
    __table_args__ = (
        UniqueConstraint("region_code", "year", "version"),
        CheckConstraint(YEARS, name="year"),
        CheckConstraint("percent_bp > 0 AND percent_bp <= 10000", name="percent"),
        CheckConstraint("basis <> '' AND reason <> ''", name="justified"),
        Index(
            "uq_reserved_quota_rule_national",
            "year",
            "version",
            unique=True,
            sqlite_where=NATIONAL,
            postgresql_where=NATIONAL,
        ),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    region_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    year: Mapped[int]
    version: Mapped[int]
    percent_bp: Mapped[int]
    filing_due_on: Mapped[date]
    category_codes: Mapped[list[str]] = mapped_column(JSON, default=list)
    scope_note: Mapped[str] = mapped_column(String(300), default="")
    basis: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(300))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    region: Mapped[Region | None] = relationship(lazy="joined")
    recorder: Mapped[User | None] = relationship()


class CanteenSharing(Base):
    """Units that share one canteen in a year and file once. The representative is the member marked so."""

    __tablename__ = "canteen_sharing"
    __table_args__ = (UniqueConstraint("id", "year"), CheckConstraint(YEARS, name="year"))

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("GC"))
    year: Mapped[int]
    name: Mapped[str] = mapped_column(String(60))
    proposed_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    members: Mapped[list[CanteenSharingMember]] = relationship(
        order_by="CanteenSharingMember.id", lazy="selectin", back_populates="sharing"
    )


class CanteenSharingMember(Base):
    """A unit in a shared canteen: one canteen a year. Each unit but the representative agrees by itself."""

    __tablename__ = "canteen_sharing_member"
    __table_args__ = (
        UniqueConstraint("unit_id", "year"),
        ForeignKeyConstraint(["sharing_id", "year"], ["canteen_sharing.id", "canteen_sharing.year"]),
        CheckConstraint("(agreed_by IS NULL) = (agreed_at IS NULL)", name="agreed"),
        Index(
            "uq_canteen_sharing_member_representative",
            "sharing_id",
            unique=True,
            sqlite_where=REPRESENTATIVE,
            postgresql_where=REPRESENTATIVE,
        ),
        Index("ix_canteen_sharing_member_sharing_id", "sharing_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sharing_id: Mapped[int]
    year: Mapped[int]
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    is_representative: Mapped[bool] = mapped_column(default=False)
    agreed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    agreed_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    sharing: Mapped[CanteenSharing] = relationship(back_populates="members", lazy="joined")
    unit: Mapped[BuyerUnit] = relationship(lazy="joined")


class QuotaFiling(Base):
    """One version of what a unit files for a year: expected ingredient spend and the share reserved of it.

    `last_base_fen` and `last_reserve_fen` are what was in force the year before; less than that wants an explanation.
    `contractor` is the company that runs an outsourced canteen. Append-only: an amendment is a further version.
    """

    __tablename__ = "quota_filing"
    __table_args__ = (
        UniqueConstraint("unit_id", "year", "version"),
        UniqueConstraint("filed_by", "idempotency_key"),
        UniqueConstraint("id", "filed_by"),
        UniqueConstraint("id", "unit_id", "year"),
        ForeignKeyConstraint(
            ["amends_id", "unit_id", "year"],
            ["quota_filing.id", "quota_filing.unit_id", "quota_filing.year"],
        ),
        CheckConstraint(YEARS, name="year"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint(f"base_fen BETWEEN {LEAST_BASE_FEN} AND {MOST_BASE_FEN}", name="base"),
        CheckConstraint("floor_bp > 0 AND reserve_bp >= floor_bp AND reserve_bp <= 10000", name="floor"),
        CheckConstraint("reserve_fen = (base_fen * reserve_bp + 5000) / 10000", name="reserve"),
        CheckConstraint(
            "(last_base_fen IS NULL OR (base_fen >= last_base_fen AND reserve_fen >= last_reserve_fen))"
            " OR explanation <> ''",
            name="decrease_explained",
        ),
        CheckConstraint("(last_base_fen IS NULL) = (last_reserve_fen IS NULL)", name="last_year"),
        CheckConstraint("(amends_id IS NULL) = (amendment_reason = '')", name="amendment"),
        CheckConstraint("NOT is_late OR filed_on > due_on", name="late"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("QF"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    year: Mapped[int]
    version: Mapped[int]
    amends_id: Mapped[int | None]
    rule_id: Mapped[int] = mapped_column(ForeignKey("reserved_quota_rule.id"))
    sharing_id: Mapped[int | None] = mapped_column(ForeignKey("canteen_sharing.id"), index=True)
    base_fen: Mapped[int] = mapped_column(BigInteger)
    floor_bp: Mapped[int]
    reserve_bp: Mapped[int]
    reserve_fen: Mapped[int] = mapped_column(BigInteger)
    last_base_fen: Mapped[int | None] = mapped_column(BigInteger)
    last_reserve_fen: Mapped[int | None] = mapped_column(BigInteger)
    explanation: Mapped[str] = mapped_column(String(500), default="")
    amendment_reason: Mapped[str] = mapped_column(String(300), default="")
    contractor: Mapped[str] = mapped_column(String(120), default="")
    due_on: Mapped[date]
    filed_on: Mapped[date]
    is_late: Mapped[bool]
    idempotency_key: Mapped[str] = mapped_column(String(64))
    filed_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    filed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    unit: Mapped[BuyerUnit] = relationship(lazy="joined")
    rule: Mapped[ReservedQuotaRule] = relationship(lazy="joined")
    sharing: Mapped[CanteenSharing | None] = relationship()
    filer: Mapped[User] = relationship(lazy="joined")
    papers: Mapped[list[QuotaEvidence]] = relationship(order_by="QuotaEvidence.file_id", lazy="selectin")
    decision: Mapped[QuotaDecision | None] = relationship(
        back_populates="filing", lazy="joined", viewonly=True
    )


class QuotaEvidence(Base):
    """A document behind a filing: last year's accounts, the budget of the canteen. Append-only."""

    __tablename__ = "quota_evidence"
    __table_args__ = ({"info": APPEND_ONLY},)

    filing_id: Mapped[int] = mapped_column(ForeignKey("quota_filing.id"), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"), primary_key=True)

    file: Mapped[StoredFile] = relationship(lazy="joined")


class QuotaDecision(Base):
    """What the unit's approver says of a filing; one a filing, never by who filed it. Append-only."""

    __tablename__ = "quota_decision"
    __table_args__ = (
        ForeignKeyConstraint(["filing_id", "filed_by"], ["quota_filing.id", "quota_filing.filed_by"]),
        CheckConstraint("decided_by <> filed_by", name="separate_duties"),
        CheckConstraint("is_confirmed OR note <> ''", name="returned_with_reason"),
        {"info": APPEND_ONLY},
    )

    filing_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    filed_by: Mapped[int]
    is_confirmed: Mapped[bool]
    note: Mapped[str] = mapped_column(String(300), default="")
    decided_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    filing: Mapped[QuotaFiling] = relationship(back_populates="decision", viewonly=True)
    decider: Mapped[User] = relationship(lazy="joined")


class QuotaCover(Base):
    """Who files for a unit in a year, and which filing is in force for it; one row a unit and year.

    A unit of a shared canteen is covered by its representative's filing; `member_id` then holds its membership fast.
    `filing_id` is set once the filing was decided on.
    """

    __tablename__ = "quota_cover"
    __table_args__ = (
        ForeignKeyConstraint(
            ["filing_id", "filer_id", "year"],
            ["quota_filing.id", "quota_filing.unit_id", "quota_filing.year"],
        ),
        CheckConstraint("unit_id = filer_id OR member_id IS NOT NULL", name="shared"),
        Index("ix_quota_cover_filer", "filer_id", "year"),
    )

    unit_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    filer_id: Mapped[int] = mapped_column(ForeignKey("buyer_unit.id"))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("canteen_sharing_member.id"))
    filing_id: Mapped[int | None] = mapped_column(ForeignKey("quota_decision.filing_id"))
