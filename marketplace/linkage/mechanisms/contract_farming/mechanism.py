"""Contract farming as the rest of the room sees it: its terms, and what a weigh slip entitles to.

The arithmetic is in `formula`, what a contract fixes in `terms`. Advances to be repaid are charges beside the
entitlement, never a part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.core.quantity import format_kg
from marketplace.linkage.mechanisms.contract_farming.formula import entitlement
from marketplace.linkage.mechanisms.contract_farming.models import SlipQuota, WeighSlip
from marketplace.linkage.mechanisms.contract_farming.terms import Term, describe_terms, validate_terms
from marketplace.linkage.mechanisms.seam import Described
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Charge,
    ChargeKind,
    Evidence,
    IncomeClass,
    Mechanism,
)
from marketplace.linkage.spans import FOREVER

__all__ = [
    "attributions",
    "claim",
    "describe_terms",
    "details_of",
    "entitlement",
    "explain",
    "income_class",
    "recorded_until",
    "release",
    "summarise",
    "validate_terms",
]

attributions: tuple[Attribution, ...] = (Attribution.DIRECT,)
income_class = IncomeClass.OPERATING


def summarise(inputs: Mapping[str, Any]) -> Described:
    """The slip and what it weighed."""
    details = inputs["details"]
    params = {"slip_no": details["slip_no"], "kg": format_kg(details["net_g"]), "grade": details["grade"]}
    return Described(N_("过磅单"), N_("%(slip_no)s，%(grade)s %(kg)s 千克"), params)


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """The weight and the price that made the amount."""
    details, terms = inputs["details"], inputs["terms"]
    market = details["market_price_fen_per_kg"]
    per_kg = N_("%(yuan)s 元/千克")
    lines = [
        Described(N_("净重"), N_("%(kg)s 千克"), {"kg": format_kg(details["net_g"])}),
        Described(Term.FLOOR_PRICE.label, per_kg, {"yuan": format_yuan(terms["floor_price_fen_per_kg"])}),
    ]
    if market is not None:
        lines.append(Described(N_("当日市价"), per_kg, {"yuan": format_yuan(market)}))
    if terms["premium_fen_per_kg"]:
        lines.append(
            Described(Term.PREMIUM.label, per_kg, {"yuan": format_yuan(terms["premium_fen_per_kg"])})
        )
    lines.append(Described(N_("结算单价"), per_kg, {"yuan": format_yuan(inputs["price_fen_per_kg"])}))
    return lines + _explain_parts(inputs)


def _explain_parts(inputs: Mapping[str, Any]) -> list[Described]:
    """Gross, bonus, repayment and net, where there is more to say than the price; nothing by the first version."""
    bonus, charge = inputs.get("bonus_fen", 0), inputs.get("charge_fen", 0)
    lines: list[Described] = []
    if bonus:
        lines.append(_yuan(N_("货款"), inputs["gross_fen"]))
        over = {"kg": format_kg(inputs["over_g"]), "yuan": format_yuan(bonus)}
        lines.append(Described(N_("超量奖励"), N_("超出 %(kg)s 千克，奖励 %(yuan)s 元"), over))
    if charge:
        amount_fen = inputs["gross_fen"] + bonus
        lines.append(_yuan(N_("应得合计"), amount_fen))
        before = {
            "yuan": format_yuan(charge),
            "outstanding": format_yuan(inputs["details"]["outstanding_fen"]),
        }
        lines.append(Described(N_("归还预付款"), N_("%(yuan)s 元（此前未还 %(outstanding)s 元）"), before))
        lines.append(_yuan(N_("抵扣后"), amount_fen - charge))
    return lines


def _yuan(label: str, amount_fen: int) -> Described:
    return Described(label, N_("%(yuan)s 元"), {"yuan": format_yuan(amount_fen)})


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the weigh slips say, and how quota and advances stood when they were recorded, by evidence id."""
    is_repayment = (Charge.evidence_id == WeighSlip.id) & (Charge.kind == ChargeKind.ADVANCE_REPAID)
    rows = session.execute(
        select(WeighSlip, Evidence.occurred_on, SlipQuota.before_g, Charge.inputs)
        .select_from(WeighSlip)
        .join(Evidence, Evidence.id == WeighSlip.id)
        .outerjoin(SlipQuota, SlipQuota.id == WeighSlip.id)
        .outerjoin(Charge, is_repayment)
        .where(WeighSlip.id.in_(evidence_ids))
    )
    found = {}
    for slip, weighed_on, before_g, charge in rows:
        details = slip_details(slip, weighed_on)
        if before_g is not None:
            details["before_g"] = before_g
        if charge is not None:
            details["outstanding_fen"] = charge["outstanding_fen"]
        found[slip.id] = details
    return found


def slip_details(slip: WeighSlip, weighed_on: date) -> dict[str, Any]:
    """A slip as `entitlement` takes it."""
    return {
        "slip_no": slip.slip_no,
        "weighed_on": weighed_on.isoformat(),
        "grade": slip.grade,
        "net_g": slip.net_g,
        "market_price_fen_per_kg": slip.market_price_fen_per_kg,
    }


def recorded_until(session: Session, agreement: Agreement) -> date | None:
    """The day after the last weighing under the agreement."""
    last = session.scalar(
        select(func.max(Evidence.occurred_on))
        .join(AgreementVersion)
        .where(AgreementVersion.agreement_id == agreement.id)
    )
    return last + timedelta(days=1) if last else None


def claim(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    """Hold the household's produce of that kind for the one agreement with this cooperative.

    Raises Conflict when another agreement of the two about the same commodity holds on any of these days.
    """
    others = session.scalars(
        select(Agreement).where(
            Agreement.household_id == agreement.household_id,
            Agreement.cooperative_id == agreement.cooperative_id,
            Agreement.mechanism == Mechanism.CONTRACT_FARMING,
            Agreement.id != agreement.id,
        )
    )
    for other in others.unique():
        last = other.versions[-1]
        ends_on = min(last.valid_to or FOREVER, other.ended_on or FOREVER)
        is_same = last.terms["commodity"] == version.terms["commodity"]
        if (
            is_same
            and ends_on > version.valid_from
            and other.versions[0].valid_from < (version.valid_to or FOREVER)
        ):
            raise Conflict(
                "already_agreed",
                N_("该户的%(commodity)s已有一份从 %(day)s 起生效的订单协议，请变更那一份"),
                field="commodity",
                commodity=version.terms["commodity"],
                day=other.versions[0].valid_from.isoformat(),
            )


def release(session: Session, agreement: Agreement, *, ends_on: date) -> None:
    """Nothing to free: what was claimed is read from the agreements themselves."""
