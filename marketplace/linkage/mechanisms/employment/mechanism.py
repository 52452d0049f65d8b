"""Employment as the rest of the room sees it: its terms, and what a day's attendance entitles a household to.

Labour for a lot is shared by that lot's sales; labour for nothing in particular (weeding, guarding, packing) is spread
over the sales of its linkage period.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import format_yuan, half_up
from marketplace.linkage.mechanisms.employment.models import Attendance
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
    LinkagePeriod,
    Mechanism,
)
from marketplace.linkage.spans import FOREVER
from marketplace.registry.models import HouseholdMember

attributions: tuple[Attribution, ...] = (Attribution.DIRECT, Attribution.ALLOCATED)
income_class = IncomeClass.WAGE
RULE_VERSION = 1
MOST_FEN_PER_HOUR = 100_000
MOST_FEN_PER_PIECE = 1_000_000
MOST_KINDS = 20
MOST_PERSONS = 20
MOST_PAYMENT_DAYS = 365
HOUR = 60


class Term(LabelledEnum):
    """What such an agreement fixes."""

    PERSONS = "persons", N_("务工的家庭成员")
    RATE = "rate_fen_per_hour", N_("时薪")
    PIECES = "piece_rates", N_("计件单价")
    PAYMENT_DAYS = "payment_days", N_("工资兑付期限")
    KIND = "kind", N_("活计名称")
    PIECE_RATE = "rate_fen", N_("每件单价")


AGREED = (Term.PERSONS, Term.RATE, Term.PIECES, Term.PAYMENT_DAYS)


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: public numbers of the persons who may work, fen an hour (None without an hourly
    wage), fen a piece of each kind, days from the work until the wage is due. Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in AGREED])
    hourly = raw.get(Term.RATE) is not None
    kept = {
        "persons": _persons(raw.get(Term.PERSONS)),
        "rate_fen_per_hour": integer_term(raw, Term.RATE, least=1, most=MOST_FEN_PER_HOUR)
        if hourly
        else None,
        "piece_rates": _piece_rates(raw.get(Term.PIECES)),
        "payment_days": integer_term(raw, Term.PAYMENT_DAYS, least=0, most=MOST_PAYMENT_DAYS),
    }
    if not hourly and not kept["piece_rates"]:
        raise Refused("no_wage", N_("请填写时薪，或者至少一种活计的计件单价"), field="rate_fen_per_hour")
    return kept


def _persons(raw: object) -> list[str]:
    chosen = sorted({str(one).strip() for one in _listed(raw)} - {""})
    if not chosen:
        raise Refused("no_persons", N_("请至少选一名来务工的家庭成员"), field="persons")
    if len(chosen) > MOST_PERSONS:
        message = N_("一份协议最多 %(most)s 人")
        raise Refused("too_many_persons", message, field="persons", most=MOST_PERSONS)
    return chosen


def _piece_rates(raw: object) -> list[dict[str, Any]]:
    rows = _listed(raw)
    if len(rows) > MOST_KINDS:
        message = N_("一份协议最多 %(most)s 种活计")
        raise Refused("too_many_kinds", message, field="piece_rates", most=MOST_KINDS)
    kept = [_piece_rate(one) for one in rows]
    kinds = [one["kind"] for one in kept]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise Refused("kind_twice", N_("活计“%(kind)s”填了两次"), field="piece_rates", kind=kind)
    return kept


def _piece_rate(raw: object) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise Refused("piece_rate", N_("请填写活计名称和每件单价"), field="piece_rates")
    only_known(raw, [Term.KIND.value, Term.PIECE_RATE.value])
    hint = N_("活计名称最多 20 个字，例如“采摘（斤）”")
    try:
        return {
            "kind": text_term(raw, Term.KIND, pattern=r"[^:]{1,20}", hint=hint),
            "rate_fen": integer_term(raw, Term.PIECE_RATE, least=1, most=MOST_FEN_PER_PIECE),
        }
    except Refused as error:
        raise Refused(error.code, error.message, field="piece_rates", **error.params) from None


def _listed(raw: object) -> list[object]:
    return list(raw) if isinstance(raw, list | tuple) else []


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them; persons are counted, because their names are for fewer readers."""
    lines = [Described(Term.PERSONS.label, N_("%(people)s 人"), {"people": len(terms["persons"])})]
    if terms["rate_fen_per_hour"] is not None:
        yuan = format_yuan(terms["rate_fen_per_hour"])
        lines.append(Described(Term.RATE.label, N_("%(yuan)s 元/小时"), {"yuan": yuan}))
    lines += [
        Described(
            Term.PIECES.label,
            N_("%(kind)s，每件 %(yuan)s 元"),
            {"kind": one["kind"], "yuan": format_yuan(one["rate_fen"])},
        )
        for one in terms["piece_rates"]
    ]
    days = {"days": terms["payment_days"]}
    return [*lines, Described(Term.PAYMENT_DAYS.label, N_("出工后 %(days)s 天"), days)]


def piece_rate_of(terms: Terms, kind: str) -> int | None:
    """Fen for a piece of `kind`, None when the terms name no such kind."""
    return next((one["rate_fen"] for one in terms["piece_rates"] if one["kind"] == kind), None)


def entitlement(details: Details, terms: Terms, *, rule_version: int = RULE_VERSION) -> Computed:
    """half_up(minutes * rate_fen_per_hour / 60), or pieces * rate; due the agreement's days after the work, or when the
    linkage period closes for labour that belongs to no lot.

    `details`: worked_on (ISO), minutes or piece_kind and pieces, period_ends_on (ISO; None for labour on a lot). Raises
    ValueError for an unknown rule version, or for work the terms have no wage for.
    """
    if rule_version != RULE_VERSION:
        raise ValueError(f"employment has no rule version {rule_version}")
    is_hourly = details["minutes"] is not None
    rate_fen = terms["rate_fen_per_hour"] if is_hourly else piece_rate_of(terms, details["piece_kind"])
    if rate_fen is None:
        raise ValueError("the agreement has no wage for this work")
    amount_fen = half_up(details["minutes"] * rate_fen, HOUR) if is_hourly else details["pieces"] * rate_fen
    worked_on, period_ends_on = date.fromisoformat(details["worked_on"]), details["period_ends_on"]
    return Computed(
        amount_fen=amount_fen,
        due_on=date.fromisoformat(period_ends_on)
        if period_ends_on
        else worked_on + timedelta(days=terms["payment_days"]),
        inputs={
            "details": dict(details),
            "terms": {"payment_days": terms["payment_days"]},
            "rate_fen": rate_fen,
        },
        rule_version=rule_version,
    )


def summarise(inputs: Mapping[str, Any]) -> Described:
    """How long, or how many pieces."""
    work = worked(inputs["details"])
    return Described(N_("考勤"), work.text, work.params)


def worked(details: Details) -> Described:
    """The work in one line: hours and minutes, or pieces of a kind."""
    if details["minutes"] is None:
        params = {"kind": details["piece_kind"], "pieces": details["pieces"]}
        return Described(N_("件数"), N_("%(kind)s %(pieces)s 件"), params)
    hours, minutes = divmod(details["minutes"], HOUR)
    if minutes == 0:
        return Described(N_("工时"), N_("%(hours)s 小时"), {"hours": hours})
    return Described(N_("工时"), N_("%(hours)s 小时 %(minutes)s 分"), {"hours": hours, "minutes": minutes})


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """The work and the wage that made the amount."""
    details, yuan = inputs["details"], {"yuan": format_yuan(inputs["rate_fen"])}
    if details["minutes"] is None:
        return [worked(details), Described(Term.PIECE_RATE.label, N_("%(yuan)s 元/件"), yuan)]
    return [worked(details), Described(Term.RATE.label, N_("%(yuan)s 元/小时"), yuan)]


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the attendance sheets say, by evidence id."""
    rows = session.execute(
        select(Attendance, LinkagePeriod.ends_on)
        .outerjoin(LinkagePeriod, LinkagePeriod.id == Attendance.period_id)
        .where(Attendance.id.in_(evidence_ids))
    )
    return {one.id: attendance_details(one, period_ends_on) for one, period_ends_on in rows}


def attendance_details(attendance: Attendance, period_ends_on: date | None) -> dict[str, Any]:
    """An attendance as `entitlement` takes it."""
    return {
        "worked_on": attendance.worked_on.isoformat(),
        "minutes": attendance.minutes,
        "piece_kind": attendance.piece_kind,
        "pieces": attendance.pieces,
        "starts_minute": attendance.starts_minute,
        "ends_minute": attendance.ends_minute,
        "period_ends_on": period_ends_on.isoformat() if period_ends_on else None,
    }


def recorded_until(session: Session, agreement: Agreement) -> date | None:
    """The day after the last attendance under the agreement."""
    last = session.scalar(
        select(func.max(Evidence.occurred_on))
        .join(AgreementVersion)
        .where(AgreementVersion.agreement_id == agreement.id)
    )
    return last + timedelta(days=1) if last else None


def claim(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    """Hold each person for the one agreement with this cooperative.

    Raises Refused when one of them is not of the household, Conflict when another agreement of the two names one of
    them on any of these days.
    """
    found = select(HouseholdMember.public_no).where(HouseholdMember.household_id == agreement.household_id)
    if set(version.terms["persons"]) - set(session.scalars(found)):
        message = N_("务工的人须是这一户的家庭成员，请重新勾选")
        raise Refused("other_household", message, field="persons")
    others = session.scalars(
        select(Agreement).where(
            Agreement.household_id == agreement.household_id,
            Agreement.cooperative_id == agreement.cooperative_id,
            Agreement.mechanism == Mechanism.EMPLOYMENT,
            Agreement.id != agreement.id,
        )
    )
    for other in others.unique():
        last = other.versions[-1]
        ends_on = min(last.valid_to or FOREVER, other.ended_on or FOREVER)
        starts_on = other.versions[0].valid_from
        is_apart = ends_on <= version.valid_from or starts_on >= (version.valid_to or FOREVER)
        if not is_apart and set(last.terms["persons"]) & set(version.terms["persons"]):
            message = N_("所选的人已在另一份从 %(day)s 起生效的务工协议里，请变更那一份")
            raise Conflict("already_agreed", message, field="persons", day=starts_on.isoformat())


def release(session: Session, agreement: Agreement, *, ends_on: date) -> None:
    """Nothing to free: what was claimed is read from the agreements themselves."""
