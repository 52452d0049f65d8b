"""Terms of payment of a unit's order: what the policy in force where the unit is says, and the statute behind it.

Policies are rows, by jurisdiction and the day from which they hold; an order freezes the one of the day it is placed.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.ordering.models import PaymentPolicy, PaymentStart
from marketplace.registry.models import BuyerUnit

SHIPPED = Path(__file__).resolve().parent / "data" / "payment_policies.csv"
MOST_DAYS = 60  # State Council Decree 728, revised as 802
CODE_LENGTHS = (6, 4, 2)  # county, prefecture, province: the nearest jurisdiction decides


@dataclass(frozen=True)
class PaymentTerms:
    """When a unit has to pay, and what it owes for each day it is late: `late_rate_bp` basis points of the sum.

    `cap_days` is the most that may be agreed instead.
    """

    days: int
    start: PaymentStart
    late_rate_bp: int
    basis: str
    cap_days: int = MOST_DAYS

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of an order that freeze them."""
        return {
            "payment_days": self.days,
            "payment_start": self.start,
            "late_rate_bp": self.late_rate_bp,
            "payment_basis": self.basis,
        }


STATUTORY_TERMS = PaymentTerms(30, PaymentStart.INSPECTION, 5, N_("国务院令第 728 号（第 802 号修订）"))
NO_TERMS: dict[str, Any] = dict.fromkeys(STATUTORY_TERMS.columns) | {
    "payment_basis": ""
}  # of a person's order
SHIPPED_BASES = (
    N_("《保障中小企业款项支付条例》（国务院令第 728 号）"),
    N_("《保障中小企业款项支付条例》（国务院令第 728 号，第 802 号修订）"),
)


def terms_in_force(session: Session, unit: BuyerUnit, on: date) -> PaymentTerms:
    """The terms of an order that `unit` places on `on`: of the policy of its county, prefecture or province, the
    nearest first, that began last; STATUTORY_TERMS where no policy is kept. Source: domain.md section 9."""
    return terms_of_units(session, [unit], on)[unit.id]


def terms_of_units(session: Session, units: Collection[BuyerUnit], on: date) -> dict[int, PaymentTerms]:
    """The same for many units, by their ids, in one statement."""
    nearer = {code for unit in units for code in _jurisdictions(unit)}
    if not nearer:
        return {}
    query = select(PaymentPolicy).where(
        PaymentPolicy.region_code.in_(sorted(nearer)), PaymentPolicy.from_on <= on
    )
    last = {
        policy.region_code: PaymentTerms(
            policy.default_days, policy.payment_start, policy.late_rate_bp, policy.basis, policy.cap_days
        )
        for policy in session.scalars(query.order_by(PaymentPolicy.from_on))
    }
    return {
        unit.id: next((last[code] for code in _jurisdictions(unit) if code in last), STATUTORY_TERMS)
        for unit in units
    }


def _jurisdictions(unit: BuyerUnit) -> list[str]:
    """The codes of a unit's county, prefecture and province."""
    return [unit.county_code[:length] for length in CODE_LENGTHS]


def load_payment_policies(session: Session) -> int:
    """Add the shipped policies of jurisdictions and days that have none; returns how many were added."""
    kept = set(session.execute(select(PaymentPolicy.region_code, PaymentPolicy.from_on)).all())
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        rows = [_policy(record) for record in csv.DictReader(file)]
    missing = [row for row in rows if (row.region_code, row.from_on) not in kept]
    session.add_all(missing)
    session.flush()
    return len(missing)


def _policy(record: dict[str, str]) -> PaymentPolicy:
    return PaymentPolicy(
        region_code=record["region_code"],
        from_on=date.fromisoformat(record["from_on"]),
        default_days=int(record["default_days"]),
        cap_days=int(record["cap_days"]),
        payment_start=PaymentStart(record["payment_start"]),
        late_rate_bp=int(record["late_rate_bp"]),
        basis=record["basis"],
    )
