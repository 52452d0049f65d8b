"""Stakes, general-meeting resolutions, and the dividend that a resolution gives to a stake.

A certificate is held by at most one agreement on any day: its spans are chained (see spans.py). A resolution that the
law forbids, or that shares out more than there is, is refused by the database as well.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import StoredFile
from marketplace.linkage.models import Agreement, Evidence, LinkagePeriod
from marketplace.linkage.spans import Span, chained_by
from marketplace.registry.models import Cooperative

LEAST_PATRONAGE_BP = 6000  # Law on Farmers' Specialised Cooperatives (2017), article 44
QUORUM = (2, 3)  # of the members present: the same law, article 30


class StakeSource(LabelledEnum):
    """Where the money or right behind a stake comes from."""

    OWN_MONEY = "own_money", N_("农户自有资金")
    LAND_RIGHT = "land_right", N_("土地经营权折价")
    FISCAL_FUND = "fiscal_fund", N_("财政资金量化到户")
    COLLECTIVE_ASSET = "collective_asset", N_("集体资产折股")


class StakeSpan(Span, Base):
    """A stake held under an agreement over a span of days; open-ended until 9999-12-31.

    `certificate` is the cooperative's credit code and the number on the certificate. Not history but a claim: it is cut
    when the agreement is amended, ended or the stake re-assigned.
    """

    __tablename__ = "stake_span"
    __table_args__ = (
        CheckConstraint("stake_fen > 0", name="stake"),
        Index("ix_stake_span_agreement", "agreement_id"),
        Index("ix_stake_span_cooperative", "cooperative_id", "starts_on"),
        *chained_by("stake_span", "certificate"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    certificate: Mapped[str] = mapped_column(String(60))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"))
    stake_fen: Mapped[int] = mapped_column(BigInteger)

    agreement: Mapped[Agreement] = relationship(lazy="joined")


class StakeReassignment(Base):
    """A stake that passed from one household to another on a day, and why. Append-only."""

    __tablename__ = "stake_reassignment"
    __table_args__ = (
        CheckConstraint("from_agreement_id <> to_agreement_id", name="two_agreements"),
        CheckConstraint("reason <> ''", name="reason"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    from_agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), unique=True)
    to_agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), unique=True)
    from_day: Mapped[date]
    reason: Mapped[str] = mapped_column(String(200))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    from_agreement: Mapped[Agreement] = relationship(foreign_keys=[from_agreement_id])
    to_agreement: Mapped[Agreement] = relationship(foreign_keys=[to_agreement_id])


class ShareResolution(Base):
    """How the general meeting shares out the surplus of one linkage period. Append-only; once a period.

    `capital_fen` and `dealings_fen` are of all members, households here or not; `most_staked_fen` is the largest sum of
    stakes held here on one day, `known_dealings_fen` what the households here dealt. All sums in fen.
    """

    __tablename__ = "share_resolution"
    __table_args__ = (
        UniqueConstraint("cooperative_id", "resolution_no"),
        CheckConstraint("surplus_fen > 0", name="surplus"),
        CheckConstraint(
            f"patronage_bp >= {LEAST_PATRONAGE_BP} AND patronage_bp <= 10000", name="patronage_of_the_law"
        ),
        CheckConstraint("base_bp >= 0 AND base_bp <= 10000", name="base"),
        CheckConstraint(
            "most_staked_fen > 0 AND most_staked_fen <= capital_fen", name="stakes_within_capital"
        ),
        CheckConstraint(
            "known_dealings_fen >= 0 AND known_dealings_fen <= dealings_fen AND dealings_fen > 0",
            name="dealings",
        ),
        CheckConstraint(
            "members_present <= members_total AND votes_for <= members_present AND votes_for > 0",
            name="votes",
        ),
        CheckConstraint(f"members_present * {QUORUM[1]} >= members_total * {QUORUM[0]}", name="quorum"),
        CheckConstraint("votes_for * 2 > members_total", name="majority"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("G"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    period_id: Mapped[int] = mapped_column(ForeignKey("linkage_period.id"), unique=True)
    resolution_no: Mapped[str] = mapped_column(String(40))
    meeting_on: Mapped[date]
    surplus_fen: Mapped[int] = mapped_column(BigInteger)
    patronage_bp: Mapped[int]
    base_bp: Mapped[int]
    capital_fen: Mapped[int] = mapped_column(BigInteger)
    most_staked_fen: Mapped[int] = mapped_column(BigInteger)
    dealings_fen: Mapped[int] = mapped_column(BigInteger)
    known_dealings_fen: Mapped[int] = mapped_column(BigInteger)
    members_total: Mapped[int]
    members_present: Mapped[int]
    votes_for: Mapped[int]
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    cooperative: Mapped[Cooperative] = relationship()
    period: Mapped[LinkagePeriod] = relationship()
    file: Mapped[StoredFile | None] = relationship()


class ShareDividend(Base):
    """One stake agreement in a resolution: what it counted with. Append-only; shares its id with its evidence.

    `stake_days_fen` is the stake times the days it was held in the period; `dealings_fen` what the household dealt with
    the cooperative, counted at its first stake when it has several.
    """

    __tablename__ = "share_dividend"
    __table_args__ = (
        UniqueConstraint("resolution_id", "agreement_id"),
        CheckConstraint("stake_days_fen > 0", name="stake_days"),
        CheckConstraint("dealings_fen >= 0", name="dealings"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    resolution_id: Mapped[int] = mapped_column(ForeignKey("share_resolution.id"))
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), index=True)
    stake_days_fen: Mapped[int] = mapped_column(BigInteger)
    dealings_fen: Mapped[int] = mapped_column(BigInteger)

    evidence: Mapped[Evidence] = relationship(lazy="joined")
    resolution: Mapped[ShareResolution] = relationship()
    agreement: Mapped[Agreement] = relationship()
