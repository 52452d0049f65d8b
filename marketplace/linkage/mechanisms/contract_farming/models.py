"""Weigh slips: the evidence of contract farming."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.db import Base
from marketplace.linkage.models import Evidence, Lot

USUAL_GRADES = ("统货", "特级", "一级", "二级")  # as the trade writes them on slips; others may be typed
MOST_G = 50_000_000  # the heaviest lorry on a village road carries less


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
