"""Production trusteeship as the rest of the room sees it: its terms, and what a season's yield entitles to.

The cooperative tends the household's plots, guarantees a yield and sells what was reaped; the household pays a service
fee, less a subsidy. The income is operating income, net of that fee: entitlements stay gross, the fee is a charge.
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
from marketplace.core.quantity import format_kg, format_mu
from marketplace.linkage.mechanisms.production_trusteeship.formula import RULE_VERSION, entitlement
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear, YieldRecord
from marketplace.linkage.mechanisms.production_trusteeship.terms import Term, describe_terms, validate_terms
from marketplace.linkage.mechanisms.seam import Described
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Evidence,
    IncomeClass,
    Mechanism,
)
from marketplace.linkage.spans import FOREVER

__all__ = [
    "RULE_VERSION",
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


def season_words(season: str) -> Described:
    """A season as people read it, e.g. 2026 年下半年."""
    year, half = season.split("-")
    text = N_("%(year)s 年上半年") if half == HalfYear.FIRST.value else N_("%(year)s 年下半年")
    return Described(N_("产季"), text, {"year": year})


def summarise(inputs: Mapping[str, Any]) -> Described:
    """The season and what was reaped."""
    details = inputs["details"]
    params = {"season": details["season"], "kg": format_kg(details["actual_g"])}
    return Described(N_("产量记录"), N_("产季 %(season)s，%(kg)s 千克"), params)


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """Yield, price, bonus and gross; then the fee, and what is left, with its sign."""
    details, terms = inputs["details"], inputs["terms"]
    kg, yuan = N_("%(kg)s 千克"), N_("%(yuan)s 元")
    counted = max(details["actual_g"], inputs["guaranteed_g"])
    lines = [
        season_words(details["season"]),
        Described(N_("实际产量"), kg, {"kg": format_kg(details["actual_g"])}),
        Described(
            Term.GUARANTEED.label,
            N_("%(kg)s 千克（%(mu)s 亩）"),
            {"kg": format_kg(inputs["guaranteed_g"]), "mu": format_mu(terms["area_cmu"])},
        ),
        Described(
            N_("按产量计的价款"),
            N_("%(kg)s 千克，每千克 %(price)s 元，共 %(yuan)s 元"),
            {
                "kg": format_kg(counted),
                "price": format_yuan(terms["price_fen_per_kg"]),
                "yuan": format_yuan(inputs["proceeds_fen"]),
            },
        ),
    ]
    if inputs["over_g"] and terms["bonus_share_bp"]:
        bonus = {"kg": format_kg(inputs["over_g"]), "yuan": format_yuan(inputs["bonus_fen"])}
        lines.append(Described(Term.BONUS_SHARE.label, N_("超产 %(kg)s 千克，另加 %(yuan)s 元"), bonus))
    gross_fen = inputs["proceeds_fen"] + inputs["bonus_fen"]
    lines.append(Described(N_("应得合计"), yuan, {"yuan": format_yuan(gross_fen)}))
    if inputs["full_fee_fen"]:
        fee = {"yuan": format_yuan(inputs["full_fee_fen"]), "subsidy": format_yuan(inputs["subsidy_fen"])}
        lines.append(Described(N_("服务费"), N_("%(yuan)s 元，补贴 %(subsidy)s 元"), fee))
    return [
        *lines,
        Described(N_("农户应付服务费"), yuan, {"yuan": format_yuan(inputs["charge_fen"])}),
        Described(N_("付过服务费后"), yuan, {"yuan": format_yuan(inputs["net_fen"])}),
    ]


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the yield records say, by evidence id."""
    rows = session.execute(
        select(YieldRecord, Evidence.occurred_on).join(Evidence).where(YieldRecord.id.in_(evidence_ids))
    )
    return {row.id: record_details(row, recorded_on) for row, recorded_on in rows.unique()}


def record_details(record: YieldRecord, recorded_on: date) -> dict[str, Any]:
    """A yield record as `entitlement` takes it."""
    return {"season": record.season, "recorded_on": recorded_on.isoformat(), "actual_g": record.actual_g}


def recorded_until(session: Session, agreement: Agreement) -> date | None:
    """The day after the last yield recorded under the agreement."""
    last = session.scalar(
        select(func.max(Evidence.occurred_on))
        .join(AgreementVersion)
        .where(AgreementVersion.agreement_id == agreement.id)
    )
    return last + timedelta(days=1) if last else None


def claim(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    """Hold the household's plots of that crop for the one trusteeship with this cooperative.

    Raises Conflict when another trusteeship of the two over the same commodity holds on any of these days.
    """
    others = session.scalars(
        select(Agreement).where(
            Agreement.household_id == agreement.household_id,
            Agreement.cooperative_id == agreement.cooperative_id,
            Agreement.mechanism == Mechanism.PRODUCTION_TRUSTEESHIP,
            Agreement.id != agreement.id,
        )
    )
    ends_on = version.valid_to or FOREVER
    for other in others.unique():
        first, last = other.versions[0], other.versions[-1]
        held_until = min(last.valid_to or FOREVER, other.ended_on or FOREVER)
        is_same = last.terms["commodity"] == version.terms["commodity"]
        if is_same and first.valid_from < ends_on and held_until > version.valid_from:
            raise Conflict(
                "already_agreed",
                N_("该户的%(commodity)s已有一份从 %(day)s 起生效的托管协议，请变更那一份"),
                field="commodity",
                commodity=version.terms["commodity"],
                day=first.valid_from.isoformat(),
            )


def release(session: Session, agreement: Agreement, *, ends_on: date) -> None:
    """Nothing to free: what was claimed is read from the agreements themselves."""
