"""Share cooperation as the rest of the room sees it: stakes and their certificates, and what a dividend entitles to.

A household holds a stake, shown by a certificate. Only a general meeting's resolution gives it anything: base,
patronage and capital share are worked out once for all stakes of the resolution (formula.py), and a dividend's
entitlement is computed again from its own weights, the pools, and whether a remaining fen fell to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.linkage.mechanisms.seam import Computed, Described, Details, Terms
from marketplace.linkage.mechanisms.share_cooperation.formula import Decided, Share, floored, share_out
from marketplace.linkage.mechanisms.share_cooperation.models import (
    ShareDividend,
    ShareResolution,
    StakeSpan,
)
from marketplace.linkage.mechanisms.share_cooperation.terms import describe_terms, validate_terms
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    IncomeClass,
    LinkagePeriod,
)
from marketplace.linkage.spans import FOREVER, add_span, cut_span, overlapping_span
from marketplace.registry.models import Cooperative

__all__ = [
    "RULE_VERSION",
    "attributions",
    "certificate_key",
    "claim",
    "describe_terms",
    "details_of",
    "dividend_details",
    "entitlement",
    "explain",
    "income_class",
    "lock_cooperative",
    "recorded_until",
    "release",
    "summarise",
    "validate_terms",
]

attributions: tuple[Attribution, ...] = (Attribution.ALLOCATED,)
income_class = IncomeClass.PROPERTY
RULE_VERSION = 1


def entitlement(details: Details, terms: Terms, *, rule_version: int = RULE_VERSION) -> Computed:
    """Base, patronage and capital share of one stake in one resolution, due once the meeting was held.

    `details`: see `dividend_details`. Raises ValueError for an unknown rule version.
    """
    if rule_version != RULE_VERSION:
        raise ValueError(f"share cooperation has no rule version {rule_version}")
    base_fen = _decided(details).base_of(details["stake_days_fen"])
    patronage_fen = floored(
        details["patronage_pool_fen"], details["household_dealings_fen"], details["dealings_fen"]
    )
    capital_fen = floored(
        details["capital_pool_fen"], details["stake_days_fen"], details["capital_fen"] * details["days"]
    )
    shares = {
        "base_share_fen": base_fen,
        "patronage_share_fen": patronage_fen + details["patronage_extra"],
        "capital_share_fen": capital_fen + details["capital_extra"],
    }
    due_on = max(date.fromisoformat(details["period_ends_on"]), date.fromisoformat(details["meeting_on"]))
    return Computed(
        amount_fen=sum(shares.values()),
        due_on=due_on,
        inputs={"details": dict(details), "terms": dict(terms), **shares},
        rule_version=rule_version,
    )


def summarise(inputs: Mapping[str, Any]) -> Described:
    """The resolution and the certificate."""
    details, terms = inputs["details"], inputs["terms"]
    params = {"no": details["resolution_no"], "certificate": terms["certificate_no"]}
    return Described(N_("分红"), N_("决议 %(no)s，股权证 %(certificate)s"), params)


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """What the meeting decided, what the stake counted with, and its three parts."""
    details = inputs["details"]
    yuan = N_("%(yuan)s 元")

    def money(label: str, amount_fen: int) -> Described:
        return Described(label, yuan, {"yuan": format_yuan(amount_fen)})

    share = N_("%(yuan)s 元，占 %(total)s 元")
    return [
        money(N_("可分配盈余"), details["surplus_fen"]),
        money(N_("按交易量返还的部分"), details["patronage_pool_fen"]),
        money(N_("按股份分的部分"), details["capital_pool_fen"]),
        Described(
            N_("本户交易额"),
            share,
            {
                "yuan": format_yuan(details["household_dealings_fen"]),
                "total": format_yuan(details["dealings_fen"]),
            },
        ),
        Described(
            N_("本户股份（按持有天数折算）"),
            share,
            {
                "yuan": format_yuan(details["stake_days_fen"] // details["days"]),
                "total": format_yuan(details["capital_fen"]),
            },
        ),
        money(N_("保底分红"), inputs["base_share_fen"]),
        money(N_("盈余返还"), inputs["patronage_share_fen"]),
        money(N_("按股分红"), inputs["capital_share_fen"]),
    ]


# --- what was recorded ---


def decided_by(resolution: ShareResolution, period: LinkagePeriod) -> Decided:
    """A resolution as the arithmetic takes it."""
    return Decided(
        surplus_fen=resolution.surplus_fen,
        patronage_bp=resolution.patronage_bp,
        base_bp=resolution.base_bp,
        capital_fen=resolution.capital_fen,
        dealings_fen=resolution.dealings_fen,
        days=(period.ends_on - period.starts_on).days,
    )


def _decided(details: Details) -> Decided:
    names = ("surplus_fen", "patronage_bp", "base_bp", "capital_fen", "dealings_fen", "days")
    return Decided(**{name: details[name] for name in names})


def dividend_details(
    resolution: ShareResolution,
    period: LinkagePeriod,
    dividend: ShareDividend,
    share: Share,
    capital_pool_fen: int,
) -> dict[str, Any]:
    """A dividend as `entitlement` takes it: the decision, the pools, its own weights, and the remaining fen it got."""
    decided = decided_by(resolution, period)
    return {
        "resolution_no": resolution.resolution_no,
        "meeting_on": resolution.meeting_on.isoformat(),
        "period_ends_on": period.ends_on.isoformat(),
        "days": decided.days,
        "surplus_fen": decided.surplus_fen,
        "patronage_bp": decided.patronage_bp,
        "base_bp": decided.base_bp,
        "capital_fen": decided.capital_fen,
        "dealings_fen": decided.dealings_fen,
        "patronage_pool_fen": decided.patronage_fen,
        "capital_pool_fen": capital_pool_fen,
        "stake_days_fen": dividend.stake_days_fen,
        "household_dealings_fen": dividend.dealings_fen,
        "patronage_extra": share.patronage_extra,
        "capital_extra": share.capital_extra,
    }


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the dividends say, by evidence id: each resolution is shared out anew from the weights of all its stakes."""
    asked = set(evidence_ids)
    named = select(ShareDividend.resolution_id).where(ShareDividend.id.in_(asked)).distinct()
    rows = session.execute(
        select(ShareDividend, ShareResolution, LinkagePeriod)
        .join(ShareResolution, ShareResolution.id == ShareDividend.resolution_id)
        .join(LinkagePeriod, LinkagePeriod.id == ShareResolution.period_id)
        .join(Agreement, Agreement.id == ShareDividend.agreement_id)
        .where(ShareDividend.resolution_id.in_(named))
        .order_by(ShareDividend.resolution_id, Agreement.household_id, Agreement.id)
    )
    found: dict[int, dict[str, Any]] = {}
    groups: dict[int, list[tuple[ShareDividend, ShareResolution, LinkagePeriod]]] = {}
    for dividend, resolution, period in rows.unique():
        groups.setdefault(resolution.id, []).append((dividend, resolution, period))
    for group in groups.values():
        _, resolution, period = group[0]
        stakes = [(dividend.stake_days_fen, dividend.dealings_fen) for dividend, _, _ in group]
        shared = share_out(decided_by(resolution, period), stakes)
        for (dividend, _, _), share in zip(group, shared.shares, strict=True):
            if dividend.id in asked:
                found[dividend.id] = dividend_details(resolution, period, dividend, share, shared.capital_fen)
    return found


def recorded_until(session: Session, agreement: Agreement) -> date | None:
    """The end of the last period shared out in which the agreement held a stake."""
    return session.scalar(
        select(func.max(LinkagePeriod.ends_on))
        .join(ShareResolution, ShareResolution.period_id == LinkagePeriod.id)
        .join(StakeSpan, StakeSpan.cooperative_id == ShareResolution.cooperative_id)
        .where(
            StakeSpan.agreement_id == agreement.id,
            StakeSpan.starts_on < LinkagePeriod.ends_on,
            StakeSpan.ends_on > LinkagePeriod.starts_on,
        )
    )


# --- one certificate, one holder ---


def certificate_key(uscc: str, certificate_no: str) -> str:
    """What names a certificate: the cooperative's credit code and the number on it."""
    return f"{uscc}:{certificate_no}"


def lock_cooperative(session: Session, cooperative_id: int) -> Cooperative:
    """The cooperative, locked so that stakes and resolutions change one after the other."""
    query = select(Cooperative).where(Cooperative.id == cooperative_id)
    return session.scalars(query.with_for_update(key_share=True, of=Cooperative)).unique().one()


def claim(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    """Hold the version's certificate from its first day on, in place of that of the version before.

    Raises Conflict when another agreement holds it on any of these days, or when a surplus of these days was shared out
    already: a stake that was not counted then can hold only from the day after.
    """
    cooperative = lock_cooperative(session, agreement.cooperative_id)
    _refuse_shared_out(session, agreement, version)
    release(session, agreement, ends_on=version.valid_from)
    starts_on, ends_on = version.valid_from, version.valid_to or FOREVER
    number = certificate_key(cooperative.uscc, version.terms["certificate_no"])
    key = StakeSpan.certificate
    taken = overlapping_span(session, key, number, starts_on=starts_on, ends_on=ends_on)
    if taken is not None:
        raise Conflict(
            "certificate_taken",
            N_("股权证 %(no)s 从 %(day)s 起已在另一份有效的协议中，同一张证同一天只能有一户持有"),
            field="certificate_no",
            no=version.terms["certificate_no"],
            day=taken.starts_on.isoformat(),
        )
    span = StakeSpan(
        certificate=number,
        cooperative_id=agreement.cooperative_id,
        agreement_id=agreement.id,
        stake_fen=version.terms["stake_fen"],
        starts_on=starts_on,
        ends_on=ends_on,
    )
    add_span(session, key, span)


def _refuse_shared_out(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    until = session.scalar(
        select(func.max(LinkagePeriod.ends_on))
        .join(ShareResolution, ShareResolution.period_id == LinkagePeriod.id)
        .where(
            ShareResolution.cooperative_id == agreement.cooperative_id,
            LinkagePeriod.ends_on > version.valid_from,
            LinkagePeriod.starts_on < (version.valid_to or FOREVER),
        )
    )
    if until is not None:
        message = N_("%(day)s 以前的盈余已按决议分完，股份请从 %(day)s 起生效")
        raise Conflict("shared_out", message, field="valid_from", day=until.isoformat())


def release(session: Session, agreement: Agreement, *, ends_on: date) -> None:
    """Free the agreement's certificate from `ends_on` on."""
    held = select(StakeSpan).where(StakeSpan.agreement_id == agreement.id, StakeSpan.ends_on > ends_on)
    for span in session.scalars(held.order_by(StakeSpan.certificate, StakeSpan.starts_on)).unique().all():
        cut_span(session, StakeSpan.certificate, span, ends_on=ends_on)
