"""Filing a unit's reserved quota, and confirming it: the orderer files, another person of the unit approves.

A filing is never edited. An amendment is a further version that says why; until it is confirmed, the one before it
stays in force. Whom a filing covers is kept by (unit, year), so that no canteen is filed twice. Source: domain.md
section 9.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS, format_rate, format_yuan, half_up
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.quota.models import (
    LEAST_BASE_FEN,
    MOST_BASE_FEN,
    CanteenSharingMember,
    QuotaCover,
    QuotaDecision,
    QuotaEvidence,
    QuotaFiling,
)
from marketplace.procurement.quota.queries import (
    RuleOfYear,
    cover_of,
    filing_in_force,
    filings_of,
    membership_of,
    representative_of,
    rule_for,
)
from marketplace.registry.buyer_units.queries import own_unit
from marketplace.registry.models import BuyerUnit

MOST_PAPERS = 5
LEAST_REASON, MOST_REASON, MOST_EXPLANATION = 4, 300, 500
MOST_CONTRACTOR = 120


def file_quota(
    session: Session,
    actor: Actor,
    *,
    year: int,
    base_fen: int,
    reserve_bp: int,
    papers: Sequence[StoredFile],
    explanation: str = "",
    amendment_reason: str = "",
    contractor: str = "",
    idempotency_key: str,
) -> QuotaFiling:
    """File what the unit expects to spend on ingredients in `year` (fen) and the share of it reserved (basis points).

    The reserve is `half_up(base * bp / 10000)`. `papers` are the evidence, `contractor` who runs an outsourced canteen.
    Less than what was in force the year before wants an explanation; a further filing, once one is in force, is an
    amendment and wants its reason. After the last day it is marked late. The same key gives the same filing again.
    Raises Forbidden, Refused (field named), Conflict when somebody else was faster.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    unit = own_unit(session, actor)
    same = (QuotaFiling.filed_by == actor.user_id, QuotaFiling.idempotency_key == idempotency_key)
    first = session.scalars(select(QuotaFiling).where(*same)).unique().one_or_none()
    if first is not None:
        return first
    rule = _rule_of(session, unit, year)
    _check_amounts(base_fen, reserve_bp, rule.rule.percent_bp)
    before = session.scalars(filings_of(unit.id, year).limit(1)).unique().first()
    amended = _amended(session, before, unit, year)
    membership = _membership_to_file_for(session, unit, year)
    filing = QuotaFiling(
        unit=unit,
        year=year,
        version=before.version + 1 if before else 1,
        amends_id=amended.id if amended else None,
        rule=rule.rule,
        sharing=membership.sharing if membership else None,
        base_fen=base_fen,
        floor_bp=rule.rule.percent_bp,
        reserve_bp=reserve_bp,
        reserve_fen=half_up(base_fen * reserve_bp, BASIS),
        explanation=explanation.strip()[:MOST_EXPLANATION],
        amendment_reason=_amendment_reason(amended, amendment_reason),
        contractor=" ".join(contractor.split())[:MOST_CONTRACTOR],
        due_on=rule.due_on,
        filed_on=today(),
        is_late=amended.is_late if amended else today() > rule.due_on,
        idempotency_key=idempotency_key,
        filed_by=actor.user_id,
    )
    _explain_decrease(session, filing)
    _check_papers(papers, unit)
    filing.papers = [QuotaEvidence(file=paper) for paper in dict.fromkeys(papers)]
    _keep(session, filing, membership)
    record_trail(
        session,
        actor,
        "procurement.file_quota",
        subject=("quota_filing", filing.public_no),
        county_code=unit.county_code,
        year=year,
        version=filing.version,
        base_fen=base_fen,
        reserve_fen=filing.reserve_fen,
        is_late=filing.is_late,
    )
    return filing


def _rule_of(session: Session, unit: BuyerUnit, year: int) -> RuleOfYear:
    if year != today().year:
        raise Refused(
            "filing_year", N_("只能申报今年（%(year)s 年）的预留份额"), field="year", year=today().year
        )
    rule = rule_for(session, unit.county_code, year)
    if rule is None:
        raise Refused("no_quota_rule", N_("%(year)s 年的预留份额规则还没有设置，请联系平台"), year=year)
    return rule


def _check_amounts(base_fen: int, reserve_bp: int, floor_bp: int) -> None:
    if base_fen <= 0:
        raise Refused("base_zero", N_("全年食材采购总额须大于零"), field="base_fen")
    if not LEAST_BASE_FEN <= base_fen <= MOST_BASE_FEN:
        raise Refused(
            "base_absurd",
            N_("金额不像全年的食材采购总额，请核对：单位是元，不是万元，须在 %(least)s 到 %(most)s 元之间"),
            field="base_fen",
            least=format_yuan(LEAST_BASE_FEN),
            most=format_yuan(MOST_BASE_FEN),
        )
    if reserve_bp < floor_bp:
        raise Refused(
            "under_floor",
            N_("预留比例不能低于规定的 %(floor)s%%"),
            field="reserve_bp",
            floor=format_rate(floor_bp),
        )
    if reserve_bp > BASIS:
        raise Refused("over_whole", N_("预留比例不能超过百分之百"), field="reserve_bp")


def _amended(session: Session, before: QuotaFiling | None, unit: BuyerUnit, year: int) -> QuotaFiling | None:
    """The filing in force that a further one amends. Raises Conflict while one waits."""
    if before is not None and before.decision is None:
        raise Conflict(
            "filing_waiting", N_("%(year)s 年的申报已经提交，等审批人确认后才能再改，不用重复申报"), year=year
        )
    in_force = filing_in_force(session, unit.id, year)
    return in_force if in_force is not None and in_force.unit_id == unit.id else None


def _amendment_reason(amended: QuotaFiling | None, reason: str) -> str:
    reason = reason.strip()
    if amended is None:
        return ""
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Refused(
            "amendment_reason",
            N_("本年度已有生效的申报，请写明为什么变更，4 到 300 个字"),
            field="amendment_reason",
        )
    return reason


def _membership_to_file_for(session: Session, unit: BuyerUnit, year: int) -> CanteenSharingMember | None:
    """The representative's place in the shared canteen it files for; None for a canteen of the unit's own.

    Raises Refused for a unit that another one files for, and while a unit of the canteen has not agreed.
    """
    cover = cover_of(session, unit.id, year)
    if cover is not None and cover.filer_id != unit.id:
        _refuse_twice(session.get_one(BuyerUnit, cover.filer_id), year)
    membership = membership_of(session, unit.id, year)
    if membership is None:
        return None
    if membership.agreed_at is None:
        raise Refused("invitation_open", N_("请先答复合用食堂的邀请，再申报"))
    if not membership.is_representative:
        _refuse_twice(representative_of(membership.sharing), year)
    missing = [member.unit.name for member in membership.sharing.members if member.agreed_at is None]
    if missing:
        raise Refused("not_agreed", N_("合用食堂的单位还没有都同意：%(units)s"), units="、".join(missing))
    if len(membership.sharing.members) < 2:
        raise Refused("sharing_alone", N_("合用食堂只剩本单位，请先解散合用关系，再单独申报"))
    return membership


def _refuse_twice(filer: BuyerUnit, year: int) -> None:
    raise Refused(
        "filed_by_representative",
        N_("%(year)s 年本单位与“%(name)s”合用食堂，由它统一申报，不能重复申报"),
        year=year,
        name=filer.name,
    )


def _explain_decrease(session: Session, filing: QuotaFiling) -> None:
    """Freeze what was in force the year before. Raises Refused for less than that without an explanation."""
    last = filing_in_force(session, filing.unit.id, filing.year - 1)
    if last is None:
        return
    filing.last_base_fen, filing.last_reserve_fen = last.base_fen, last.reserve_fen
    is_less = filing.base_fen < last.base_fen or filing.reserve_fen < last.reserve_fen
    if is_less and len(filing.explanation) < LEAST_REASON:
        raise Refused(
            "decrease_unexplained",
            N_("比去年少（去年总额 %(base)s 元，预留 %(reserve)s 元），请写明原因"),
            field="explanation",
            base=format_yuan(last.base_fen),
            reserve=format_yuan(last.reserve_fen),
        )


def _check_papers(papers: Sequence[StoredFile], unit: BuyerUnit) -> None:
    if not papers:
        raise Refused("no_evidence", N_("请上传依据材料，如去年的食堂账目或今年的预算"), field="papers")
    if len(papers) > MOST_PAPERS:
        raise Refused("many_papers", N_("最多上传 %(most)s 份材料"), field="papers", most=MOST_PAPERS)
    if any(paper.organisation_id != unit.id for paper in papers):
        raise NotFound


def _keep(session: Session, filing: QuotaFiling, membership: CanteenSharingMember | None) -> None:
    """Write the filing and, with the first version, whom it covers. Raises Conflict when somebody was faster."""
    unit_id, year = filing.unit.id, filing.year
    try:
        with session.begin_nested():
            session.add(filing)
            session.flush()
            if cover_of(session, unit_id, year) is None:
                members = membership.sharing.members if membership else []
                covers: dict[int, int | None] = {member.unit_id: member.id for member in members}
                rows = [
                    {"unit_id": one, "year": year, "filer_id": unit_id, "member_id": member_id}
                    for one, member_id in (covers or {unit_id: None}).items()
                ]
                session.execute(insert(QuotaCover), rows)
    except IntegrityError:
        raise Conflict(
            "filed_twice", N_("%(year)s 年的预留份额刚刚已经申报，一个食堂一年只报一次"), year=year
        ) from None


def decide_filing(
    session: Session, actor: Actor, filing: QuotaFiling, *, is_confirmed: bool, note: str = ""
) -> QuotaDecision:
    """Confirm a filing, which then is in force for every unit it covers, or return it with a reason.

    For an approver of the unit other than who filed it. Raises NotFound, Forbidden, Refused, Conflict when decided.
    """
    actor.require(Permission.APPROVE_ORDERS)
    if filing.unit_id != actor.buyer_unit_id or actor.user_id is None:
        raise NotFound
    if filing.filed_by == actor.user_id:
        raise Forbidden("own_filing", N_("申报人不能确认自己的申报，请由另一位审批人办理"))
    note = note.strip()
    if not is_confirmed and not LEAST_REASON <= len(note) <= MOST_REASON:
        raise Refused("return_reason", N_("请写明退回的原因，4 到 300 个字"), field="note")
    decision = QuotaDecision(
        filing_id=filing.id,
        filed_by=filing.filed_by,
        is_confirmed=is_confirmed,
        note=note[:MOST_REASON],
        decided_by=actor.user_id,
    )
    try:
        with session.begin_nested():
            session.add(decision)
            session.flush()
    except IntegrityError:
        raise Conflict("filing_decided", N_("这份申报刚刚已经处理过，请刷新后再看")) from None
    if is_confirmed:
        session.execute(
            update(QuotaCover)
            .where(QuotaCover.filer_id == filing.unit_id, QuotaCover.year == filing.year)
            .values(filing_id=filing.id)
        )
    session.expire(filing, ["decision"])
    record_trail(
        session,
        actor,
        "procurement.confirm_quota" if is_confirmed else "procurement.return_quota",
        subject=("quota_filing", filing.public_no),
        county_code=filing.unit.county_code,
        year=filing.year,
        reserve_fen=filing.reserve_fen,
        note=note or None,
    )
    return decision
