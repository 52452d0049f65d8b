"""How far prices may lie from their reference, set by who is in charge of a place: a county, or the operator for the
province. One person proposes, another of the same place confirms; what held before stays on record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from marketplace.catalog.prices.models import PricePolicy, PricePolicyProposal, ProposalState
from marketplace.catalog.prices.queries import CODE_LENGTHS, PROVINCE, PriceRules, rules_in_force
from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import BASIS, format_rate
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.web.tasks import Task

MOST_QUOTES, MOST_DAYS, MOST_AHEAD, MOST_BASIS, MOST_ANSWER = 100, 1_000, 366, 200, 300
RATES = ("above_bp", "below_bp", "change_bp")
NO_LAXER = ("above_bp", "change_bp")  # what a place may tighten but not loosen


def place_of(actor: Actor) -> str:
    """The place whose policy the actor sets: its county, the province for the operator."""
    return actor.county_code or PROVINCE


def propose_policy(
    session: Session, actor: Actor, *, rules: PriceRules, from_on: date, basis: str
) -> PricePolicyProposal:
    """Propose what shall hold in the actor's place from a day to come on.

    Raises Refused (field named) for figures that cannot be or are laxer than those above, Conflict while another
    proposal of the place waits or when a policy begins on that day already.
    """
    actor.require(Permission.MANAGE_REFERENCE_PRICES)
    if actor.user_id is None:
        raise Forbidden
    region_code, basis = place_of(actor), basis.strip()
    _check_figures(rules)
    if not today() < from_on <= today() + timedelta(days=MOST_AHEAD):
        raise Refused(
            "policy_day", N_("生效日期须在明天以后、一年以内，过去的价格不重新核对"), field="from_on"
        )
    if not 4 <= len(basis) <= MOST_BASIS:
        raise Refused("text_length", N_("请填写这一项，4 到 %(most)s 个字"), field="basis", most=MOST_BASIS)
    _check_above(session, region_code, rules, from_on)
    _require_free_day(session, region_code, from_on)
    proposal = PricePolicyProposal(
        region_code=region_code, from_on=from_on, basis=basis, proposed_by=actor.user_id, **vars(rules)
    )
    try:
        with session.begin_nested():
            session.add(proposal)
    except IntegrityError as error:
        raise Conflict("proposal_waits", N_("已有一份规则在等同事确认，请先确认或撤回那一份")) from error
    _note(session, actor, "catalog.propose_price_policy", proposal)
    return proposal


def decide_policy(
    session: Session, actor: Actor, proposal: PricePolicyProposal, *, agrees: bool, answer: str = ""
) -> PricePolicyProposal:
    """Confirm a proposal of the actor's place, which then holds from its day on, or refuse it with a reason.

    Raises NotFound for another place's, Forbidden for one's own, Refused without a reason, Conflict when it is decided
    already or its day has passed.
    """
    _hold(session, actor, proposal)
    if proposal.proposed_by == actor.user_id:
        raise Forbidden("own_proposal", N_("自己提出的规则须由另一位同事确认"))
    answer = answer.strip()
    if not agrees and not 1 <= len(answer) <= MOST_ANSWER:
        raise Refused(
            "answer", N_("请写明不同意的原因，最多 %(most)s 个字"), field="answer", most=MOST_ANSWER
        )
    if agrees and proposal.from_on < today():
        raise Conflict("policy_late", N_("生效日期已经过去，请撤回后重新提出"))
    if agrees:
        _require_free_day(session, proposal.region_code, proposal.from_on)
    proposal.state = ProposalState.CONFIRMED if agrees else ProposalState.REFUSED
    proposal.decided_by, proposal.decided_at, proposal.answer = actor.user_id, now(), answer
    session.flush()
    if agrees:
        session.add(_policy_of(proposal))
    _note(
        session, actor, "catalog.confirm_price_policy" if agrees else "catalog.refuse_price_policy", proposal
    )
    return proposal


def withdraw_policy(session: Session, actor: Actor, proposal: PricePolicyProposal) -> PricePolicyProposal:
    """Take an own proposal back. Raises Forbidden for another's, Conflict when it is decided."""
    _hold(session, actor, proposal)
    if proposal.proposed_by != actor.user_id:
        raise Forbidden("others_proposal", N_("只能撤回自己提出的规则"))
    proposal.state, proposal.decided_at = ProposalState.WITHDRAWN, now()
    _note(session, actor, "catalog.withdraw_price_policy", proposal)
    return proposal


def _hold(session: Session, actor: Actor, proposal: PricePolicyProposal) -> None:
    actor.require(Permission.MANAGE_REFERENCE_PRICES)
    if proposal.region_code != place_of(actor):
        raise NotFound
    session.refresh(proposal, ["state"], with_for_update={"of": PricePolicyProposal})
    if proposal.state is not ProposalState.WAITING:
        raise Conflict("proposal_decided", N_("这份规则刚刚已有结果，请刷新后再看"))


def _check_figures(rules: PriceRules) -> None:
    for field in RATES:
        if not 0 <= getattr(rules, field) <= BASIS:
            raise Refused("policy_rate", N_("比例须在 0 到 100% 之间"), field=field)
    if not 1 <= rules.min_quotes <= MOST_QUOTES:
        raise Refused("policy_quotes", N_("须在 1 到 %(most)s 家之间"), field="min_quotes", most=MOST_QUOTES)
    for field in ("valid_days", "explained_days"):
        if not 1 <= getattr(rules, field) <= MOST_DAYS:
            raise Refused("policy_days", N_("须在 1 到 %(most)s 天之间"), field=field, most=MOST_DAYS)


def _check_above(session: Session, region_code: str, rules: PriceRules, on: date) -> None:
    """A place may be stricter than those above it, never laxer."""
    if region_code == PROVINCE:
        return
    above = region_code[: CODE_LENGTHS[CODE_LENGTHS.index(len(region_code)) + 1]]
    held = rules_in_force(session, {above}, on)[above]
    for field in NO_LAXER:
        if getattr(rules, field) > getattr(held, field):
            most = format_rate(getattr(held, field))
            raise Refused("policy_laxer", N_("不能宽于上级的 %(most)s%%"), field=field, most=most)


def _require_free_day(session: Session, region_code: str, from_on: date) -> None:
    taken = select(PricePolicy.id).where(
        PricePolicy.region_code == region_code, PricePolicy.from_on == from_on
    )
    if session.scalar(taken) is not None:
        raise Conflict("policy_day_taken", N_("这一天已有规则开始生效，请换一天"), field="from_on")


def _policy_of(proposal: PricePolicyProposal) -> PricePolicy:
    return PricePolicy(
        region_code=proposal.region_code,
        proposal_id=proposal.id,
        from_on=proposal.from_on,
        above_bp=proposal.above_bp,
        below_bp=proposal.below_bp,
        change_bp=proposal.change_bp,
        min_quotes=proposal.min_quotes,
        valid_days=proposal.valid_days,
        explained_days=proposal.explained_days,
        basis=proposal.basis,
    )


def _note(session: Session, actor: Actor, action: str, proposal: PricePolicyProposal) -> None:
    session.flush()
    record_trail(
        session,
        actor,
        action,
        subject=("price_policy", proposal.public_no),
        region=proposal.region.full_name,
        from_on=proposal.from_on.isoformat(),
        above_bp=proposal.above_bp,
    )


# --- reading ---


def proposal_by_no(session: Session, actor: Actor, number: str) -> PricePolicyProposal:
    """A proposal of the actor's place. Raises NotFound."""
    found = session.scalar(
        select(PricePolicyProposal).where(
            PricePolicyProposal.public_no == number, PricePolicyProposal.region_code == place_of(actor)
        )
    )
    if found is None:
        raise NotFound
    return found


def waiting_proposal(session: Session, actor: Actor) -> PricePolicyProposal | None:
    """The proposal of the actor's place that waits."""
    return session.scalar(
        select(PricePolicyProposal).where(
            PricePolicyProposal.region_code == place_of(actor),
            PricePolicyProposal.state == ProposalState.WAITING,
        )
    )


def policies_over(actor: Actor) -> Select[PricePolicy]:
    """What holds or held in the actor's place and above it, the newest first."""
    place = place_of(actor)
    codes: Sequence[str] = [place[:length] for length in CODE_LENGTHS if length <= len(place)]
    people = joinedload(PricePolicy.proposal)
    return (
        select(PricePolicy)
        .where(PricePolicy.region_code.in_(codes))
        .order_by(PricePolicy.from_on.desc(), func.length(PricePolicy.region_code).desc())
        .options(
            joinedload(PricePolicy.region),
            people.joinedload(PricePolicyProposal.proposer),
            people.joinedload(PricePolicyProposal.decider),
        )
    )


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """A proposal that a colleague made and somebody else has to decide."""
    if not actor.can(Permission.MANAGE_REFERENCE_PRICES):
        return []
    proposal = waiting_proposal(session, actor)
    if proposal is None or proposal.proposed_by == actor.user_id:
        return []
    return [Task(N_("%(count)s 份价格规则待您确认"), 1, "prices.policy")]
