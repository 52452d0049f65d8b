"""Receipts, inspections, and what becomes of rejected goods: replacement, outcome, dispute.

A delivery is inspected once a round: the first round covers what was ordered, the second, after a replacement, the
replaced units alone. What must hold stands in the database: one receipt and one inspection a round and part, accepted
and rejected units that make up the units delivered, one replacement a part, one outcome a rejection. What is not paid
for is said by `queries.lines_off`.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
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
from marketplace.identity.models import StoredFile, User
from marketplace.linkage.models import Lot
from marketplace.ordering.models import OrderLine, OrderPart

SOLD = ["order_line.id", "order_line.quantity", "order_line.unit_price_fen"]


class RejectReason(LabelledEnum):
    """Why units are not accepted."""

    DAMAGED = "damaged", N_("破损")
    SPOILED = "spoiled", N_("变质、腐烂")
    SHORT = "short", N_("短少、短秤")
    WRONG_GOODS = "wrong_goods", N_("品种或规格不符")
    SUBSTANDARD = "substandard", N_("质量不达标")
    EXPIRED = "expired", N_("超过保质期")
    NO_CERTIFICATE = "no_certificate", N_("缺合格证或检验证明")
    OTHER = "other", N_("其他")


class Outcome(LabelledEnum):
    """How a rejection ended."""

    AGREED = "agreed", N_("同意拒收，扣减货款")
    RETURNED = "returned", N_("同意全部退货")
    REPLACED = "replaced", N_("补发换货")
    SPLIT = "split", N_("部分补发，其余扣减货款")
    WITHDRAWN = "withdrawn", N_("买方撤回拒收")


class Side(LabelledEnum):
    """Who speaks in a dispute."""

    BUYER = "buyer", N_("买方")
    COOPERATIVE = "cooperative", N_("合作社")
    MEDIATOR = "mediator", N_("县级调解")


class ReceivingPolicy(Base):
    """What a unit asks of deliveries: working days to inspect, and whether every lot needs its certificate. A unit
    without a row has the defaults of `queries.py`."""

    __tablename__ = "receiving_policy"
    __table_args__ = (
        CheckConstraint("inspection_days >= 1 AND inspection_days <= 15", name="inspection_days"),
    )

    buyer_unit_id: Mapped[int] = mapped_column(
        ForeignKey("buyer_unit.id"), primary_key=True, autoincrement=False
    )
    inspection_days: Mapped[int]
    needs_certificates: Mapped[bool]
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    changed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class Receipt(Base):
    """That goods of a part arrived, and the last day to inspect them. Append-only; one a round.

    `temperature_dc` is tenths of a degree Celsius.
    """

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("part_id", "round"),
        UniqueConstraint("received_by", "idempotency_key"),
        CheckConstraint("round IN (1, 2)", name="round"),
        CheckConstraint("temperature_dc >= -500 AND temperature_dc <= 1000", name="temperature"),
        Index("ix_receipt_inspect_by", "inspect_by_on"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"))
    round: Mapped[int]
    inspect_by_on: Mapped[date]
    temperature_dc: Mapped[int | None]
    remark: Mapped[str] = mapped_column(String(300), default="")
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    received_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    received_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    part: Mapped[OrderPart] = relationship()
    lines: Mapped[list[ReceiptLine]] = relationship(order_by="ReceiptLine.line_id", lazy="selectin")
    files: Mapped[list[PartFile]] = relationship(order_by="PartFile.id")


class ReceiptLine(Base):
    """What the goods of one line weighed when they arrived. Append-only."""

    __tablename__ = "receipt_line"
    __table_args__ = (
        UniqueConstraint("receipt_id", "line_id"),
        CheckConstraint("mass_g > 0", name="mass"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    receipt_id: Mapped[int] = mapped_column(ForeignKey("receipt.id"))
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), index=True)
    mass_g: Mapped[int] = mapped_column(BigInteger)


class Inspection(Base):
    """What was found of a delivery. Append-only; one a round and part. `inspected_by` is empty when the time ran out
    and the goods are deemed accepted."""

    __tablename__ = "inspection"
    __table_args__ = (
        UniqueConstraint("part_id", "round"),
        UniqueConstraint("id", "round"),  # what its lines refer to
        UniqueConstraint("inspected_by", "idempotency_key"),
        CheckConstraint("round IN (1, 2)", name="round"),
        CheckConstraint("inspected_by IS NOT NULL OR NOT has_rejections", name="rejected_by_somebody"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("YS"))
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"))
    round: Mapped[int]
    has_rejections: Mapped[bool]
    note: Mapped[str] = mapped_column(String(300), default="")
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    inspected_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    inspected_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    part: Mapped[OrderPart] = relationship()
    inspector: Mapped[User | None] = relationship()
    lines: Mapped[list[InspectionLine]] = relationship(
        order_by="InspectionLine.line_id", lazy="selectin", back_populates="inspection"
    )
    outcome: Mapped[RejectionOutcome | None] = relationship(viewonly=True, lazy="joined")


class InspectionLine(Base):
    """Accepted and rejected units of one line, which make up what was delivered: all that was bought in the first
    round, the replaced units in the second. Append-only."""

    __tablename__ = "inspection_line"
    __table_args__ = (
        UniqueConstraint("inspection_id", "line_id"),
        ForeignKeyConstraint(["inspection_id", "round"], ["inspection.id", "inspection.round"]),
        ForeignKeyConstraint(["line_id", "line_quantity", "unit_price_fen"], SOLD),
        ForeignKeyConstraint(
            ["line_id", "replaced_units"], ["replacement_line.line_id", "replacement_line.units"]
        ),
        CheckConstraint(
            "accepted_units >= 0 AND rejected_units >= 0 AND accepted_units + rejected_units = units",
            name="adds_up",
        ),
        CheckConstraint(
            "(round = 1) = (replaced_units IS NULL)"
            " AND units = CASE WHEN round = 1 THEN line_quantity ELSE replaced_units END",
            name="units_delivered",
        ),
        CheckConstraint(
            "(rejected_units = 0) = (reason IS NULL) AND (rejected_units = 0) = (words = '')", name="reason"
        ),
        Index("ix_inspection_line_line", "line_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    inspection_id: Mapped[int]
    round: Mapped[int]
    line_id: Mapped[int]
    line_quantity: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    replaced_units: Mapped[int | None]
    units: Mapped[int]
    accepted_units: Mapped[int]
    rejected_units: Mapped[int]
    reason: Mapped[RejectReason | None] = mapped_column(code_of(RejectReason, "reason_code"))
    words: Mapped[str] = mapped_column(String(300), default="")

    inspection: Mapped[Inspection] = relationship(back_populates="lines")
    line: Mapped[OrderLine] = relationship(lazy="joined")
    files: Mapped[list[PartFile]] = relationship(order_by="PartFile.id")

    @property
    def rejected_fen(self) -> int:
        """What the rejected units cost."""
        return self.rejected_units * self.unit_price_fen


class Replacement(Base):
    """Goods sent in the place of what an inspection rejected. Append-only; at most one a part."""

    __tablename__ = "replacement"
    __table_args__ = ({"info": APPEND_ONLY},)

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"), unique=True)
    inspection_id: Mapped[int] = mapped_column(ForeignKey("inspection.id"), unique=True)
    carrier: Mapped[str] = mapped_column(String(40))
    waybill_no: Mapped[str] = mapped_column(String(40), default="")
    sent_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    sent_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    lines: Mapped[list[ReplacementLine]] = relationship(order_by="ReplacementLine.line_id", lazy="selectin")


class ReplacementLine(Base):
    """The units of one line that are sent again. Append-only; a line is replaced at most once."""

    __tablename__ = "replacement_line"
    __table_args__ = (
        UniqueConstraint("line_id", "units"),  # what the second inspection refers to
        ForeignKeyConstraint(["line_id", "line_quantity", "unit_price_fen"], SOLD),
        CheckConstraint("units > 0 AND units <= line_quantity", name="units"),
        {"info": APPEND_ONLY},
    )

    line_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    replacement_id: Mapped[int] = mapped_column(ForeignKey("replacement.id"), index=True)
    line_quantity: Mapped[int]
    unit_price_fen: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int]

    lots: Mapped[list[ReplacementLot]] = relationship(order_by="ReplacementLot.lot_id", lazy="selectin")


class ReplacementLot(Base):
    """The grams of a lot that replaced units drew, besides what their line had drawn. Append-only."""

    __tablename__ = "replacement_lot"
    __table_args__ = (
        UniqueConstraint("line_id", "lot_id"),
        CheckConstraint("mass_g > 0", name="mass"),
        Index("ix_replacement_lot_lot_id", "lot_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("replacement_line.line_id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    mass_g: Mapped[int] = mapped_column(BigInteger)

    lot: Mapped[Lot] = relationship(lazy="joined")


class RejectionOutcome(Base):
    """How the rejection of an inspection ended, once. Append-only; the county's word always has its reason."""

    __tablename__ = "rejection_outcome"
    __table_args__ = (
        CheckConstraint(
            "side <> 'mediator' OR (reason <> '' AND outcome NOT IN ('replaced', 'split'))", name="mediated"
        ),
        {"info": APPEND_ONLY},
    )

    inspection_id: Mapped[int] = mapped_column(
        ForeignKey("inspection.id"), primary_key=True, autoincrement=False
    )
    outcome: Mapped[Outcome] = mapped_column(code_of(Outcome, "outcome"))
    side: Mapped[Side] = mapped_column(code_of(Side, "side"))
    reason: Mapped[str] = mapped_column(String(300), default="")
    decided_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    decided_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    decider: Mapped[User] = relationship()


class DisputeStatement(Base):
    """What one side, or the county's mediator, says about a contested rejection. Append-only."""

    __tablename__ = "dispute_statement"
    __table_args__ = (
        UniqueConstraint("stated_by", "idempotency_key"),
        CheckConstraint("words <> ''", name="words"),
        Index("ix_dispute_statement_inspection", "inspection_id", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    inspection_id: Mapped[int] = mapped_column(ForeignKey("inspection.id"))
    side: Mapped[Side] = mapped_column(code_of(Side, "side"))
    words: Mapped[str] = mapped_column(String(1000))
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    stated_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    stated_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    author: Mapped[User] = relationship()
    files: Mapped[list[PartFile]] = relationship(order_by="PartFile.id")


class PartFile(Base):
    """A photo or paper about a delivery: of its receipt, of rejected units, or of a statement. Append-only; shown to
    the parties only."""

    __tablename__ = "part_file"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN receipt_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN inspection_line_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN statement_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_subject",
        ),
        Index("ix_part_file_receipt", "receipt_id"),
        Index("ix_part_file_inspection_line", "inspection_line_id"),
        Index("ix_part_file_statement", "statement_id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("order_part.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    receipt_id: Mapped[int | None] = mapped_column(ForeignKey("receipt.id"))
    inspection_line_id: Mapped[int | None] = mapped_column(ForeignKey("inspection_line.id"))
    statement_id: Mapped[int | None] = mapped_column(ForeignKey("dispute_statement.id"))

    part: Mapped[OrderPart] = relationship()
    file: Mapped[StoredFile] = relationship(lazy="joined")
