"""Weigh slips and advances: the evidence of contract farming."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.db import Base
from marketplace.linkage.models import Agreement, Evidence, Lot

USUAL_GRADES = ("统货", "特级", "一级", "二级")  # as the trade writes them on slips; others may be typed
MOST_G = 50_000_000  # the heaviest lorry on a village road carries less
MOST_ADVANCE_FEN = 10_000_000  # 100,000.00 yuan: nobody advances a household more on one receipt


class WeighSlip(Base):
    """One weighing of one household's produce into one lot, signed by both sides.

    Append-only; shares its id with its evidence, whose key holds the number of the slip. The signers' names are the
    only personal data here.
    """

    __tablename__ = "weigh_slip"
    __table_args__ = (
        CheckConstraint(f"net_g > 0 AND net_g <= {MOST_G}", name="net"),
        CheckConstraint("market_price_fen_per_kg > 0", name="market_price"),
        CheckConstraint("household_signer <> '' AND cooperative_signer <> ''", name="signed"),
        CheckConstraint("household_signer <> cooperative_signer", name="two_signers"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    slip_no: Mapped[str] = mapped_column(String(40))
    grade: Mapped[str] = mapped_column(String(20))
    net_g: Mapped[int]
    market_price_fen_per_kg: Mapped[int | None]
    household_signer: Mapped[str] = mapped_column(String(60))
    cooperative_signer: Mapped[str] = mapped_column(String(60))

    evidence: Mapped[Evidence] = relationship(lazy="joined")
    lot: Mapped[Lot] = relationship()


class SlipQuota(Base):
    """How much of the year's quota was used before a slip: the grams recorded earlier under the same version.

    Append-only; only slips under a contract with a quota have one, with the id of the slip.
    """

    __tablename__ = "slip_quota"
    __table_args__ = (CheckConstraint("before_g >= 0", name="before"), {"info": APPEND_ONLY})

    id: Mapped[int] = mapped_column(ForeignKey("weigh_slip.id"), primary_key=True, autoincrement=False)
    before_g: Mapped[int] = mapped_column(BigInteger)


class Advance(Base):
    """Money or goods given to a household ahead of its harvest, to be repaid from its slips.

    Append-only; shares its id with its evidence, whose key holds the number of the receipt.
    """

    __tablename__ = "advance"
    __table_args__ = (
        CheckConstraint(f"amount_fen > 0 AND amount_fen <= {MOST_ADVANCE_FEN}", name="amount"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), primary_key=True, autoincrement=False)
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), index=True)
    receipt_no: Mapped[str] = mapped_column(String(40))
    amount_fen: Mapped[int] = mapped_column(BigInteger)

    evidence: Mapped[Evidence] = relationship(lazy="joined")
    agreement: Mapped[Agreement] = relationship()
