"""Contract farming as the rest of the room sees it: its terms, and what a weigh slip entitles to.

Advances to be repaid and the bonus above a quota are charges and terms that come later; they change no table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import format_yuan, half_up
from marketplace.core.quantity import format_kg
from marketplace.linkage.mechanisms.contract_farming.models import WeighSlip
from marketplace.linkage.mechanisms.seam import (
    Computed,
    Described,
    Details,
    Terms,
    integer_term,
    only_known,
    text_term,
)
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Evidence,
    IncomeClass,
    Mechanism,
)
from marketplace.linkage.spans import FOREVER

attributions: tuple[Attribution, ...] = (Attribution.DIRECT,)
income_class = IncomeClass.OPERATING
RULE_VERSION = 1
MOST_FEN_PER_KG = 1_000_000
MOST_GUARANTEE_DAYS = 365
MASS_UNIT_G = 1000


class Term(LabelledEnum):
    """What such an agreement fixes."""

    COMMODITY = "commodity", N_("收购品种")
    FLOOR_PRICE = "floor_price_fen_per_kg", N_("保底价")
    PREMIUM = "premium_fen_per_kg", N_("加价")
    GUARANTEE_DAYS = "guarantee_days", N_("保底兑付期限")


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: commodity, floor price and premium in fen per kg, days until the guarantee is due.

    Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in Term])
    return {
        "commodity": text_term(raw, Term.COMMODITY, pattern=r".{1,60}", hint=N_("收购品种最多 60 个字")),
        "floor_price_fen_per_kg": integer_term(raw, Term.FLOOR_PRICE, least=1, most=MOST_FEN_PER_KG),
        "premium_fen_per_kg": integer_term(raw, Term.PREMIUM, least=0, most=MOST_FEN_PER_KG),
        "guarantee_days": integer_term(raw, Term.GUARANTEE_DAYS, least=0, most=MOST_GUARANTEE_DAYS),
    }


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them."""
    per_kg = N_("%(yuan)s 元/千克")
    return [
        Described(Term.COMMODITY.label, "%(text)s", {"text": terms["commodity"]}),
        Described(Term.FLOOR_PRICE.label, per_kg, {"yuan": format_yuan(terms["floor_price_fen_per_kg"])}),
        Described(Term.PREMIUM.label, per_kg, {"yuan": format_yuan(terms["premium_fen_per_kg"])}),
        Described(Term.GUARANTEE_DAYS.label, N_("过磅后 %(days)s 天"), {"days": terms["guarantee_days"]}),
    ]


def price_fen_per_kg(terms: Terms, market_price_fen_per_kg: int | None) -> int:
    """The price of a slip: the higher of floor and market, and the premium on top."""
    floor: int = terms["floor_price_fen_per_kg"]
    premium: int = terms["premium_fen_per_kg"]
    return max(floor, market_price_fen_per_kg or 0) + premium


def entitlement(details: Details, terms: Terms, *, rule_version: int = RULE_VERSION) -> Computed:
    """half_up(net_g * price / 1000), due the agreement's days after the weighing.

    `details`: slip_no, weighed_on (ISO), grade, net_g, market_price_fen_per_kg. Raises ValueError for an unknown rule
    version.
    """
    if rule_version != RULE_VERSION:
        raise ValueError(f"contract farming has no rule version {rule_version}")
    price = price_fen_per_kg(terms, details["market_price_fen_per_kg"])
    due_on = date.fromisoformat(details["weighed_on"]) + timedelta(days=terms["guarantee_days"])
    return Computed(
        amount_fen=half_up(details["net_g"] * price, MASS_UNIT_G),
        due_on=due_on,
        inputs={"details": dict(details), "terms": dict(terms), "price_fen_per_kg": price},
        rule_version=rule_version,
    )


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
    return lines


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the weigh slips say, by evidence id."""
    rows = session.execute(
        select(WeighSlip, Evidence.occurred_on).join(Evidence).where(WeighSlip.id.in_(evidence_ids))
    )
    return {slip.id: slip_details(slip, weighed_on) for slip, weighed_on in rows.unique()}


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
