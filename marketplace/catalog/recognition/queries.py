"""Reading recognitions: which are in force, who may see which, what was drawn for a spot check."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from marketplace.catalog.models import Certificate, CertificateState, Product
from marketplace.catalog.prices.queries import Reference, guarding_reference, rules_in_force
from marketplace.catalog.recognition.models import (
    CheckResult,
    Recognition,
    RecognitionEvent,
    RecognitionState,
    SpotCheck,
    SpotCheckRound,
)
from marketplace.core.clock import today
from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.core.money import half_up
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.registry.reviews.models import CaseStep, ReviewCase, ReviewKind
from marketplace.web.tasks import Task

PUBLIC_STATES = (RecognitionState.RECOGNISED, RecognitionState.LAPSED, RecognitionState.REVOKED)


class Badge(LabelledEnum):
    """What search and cards call a recognised product."""

    RECOGNISED = "recognised", N_("扶贫产品")


def _certificate_stands(on: date) -> ColumnElement[bool]:
    """The recognition claims no certificate, or its product has one of that kind in force: the same or its renewal."""
    claimed, held = aliased(Certificate), aliased(Certificate)
    in_force = exists().where(
        claimed.id == Recognition.certificate_id,
        held.product_id == claimed.product_id,
        held.kind == claimed.kind,
        held.state == CertificateState.VALID,
        held.issued_on <= on,
        held.expires_on > on,
    )
    return or_(Recognition.certificate_id.is_(None), in_force)


def _certificate_may_return() -> ColumnElement[bool]:
    """The certificate, or one of its kind, is only suspended."""
    claimed, held = aliased(Certificate), aliased(Certificate)
    return exists().where(
        claimed.id == Recognition.certificate_id,
        held.product_id == claimed.product_id,
        held.kind == claimed.kind,
        held.state == CertificateState.SUSPENDED,
        held.expires_on > today(),
    )


def _admitted() -> ColumnElement[bool]:
    return exists().where(
        Cooperative.id == Recognition.cooperative_id, Cooperative.state == CooperativeState.ADMITTED
    )


def recognised_of(session: Session, product_ids: Iterable[int], on: date) -> dict[int, Recognition]:
    """The recognition in force of each of these products on a day, in one statement; products without are left out."""
    query = select(Recognition).where(
        Recognition.product_id.in_(list(product_ids)),
        Recognition.state == RecognitionState.RECOGNISED,
        _admitted(),
        _certificate_stands(on),
    )
    return {found.product_id: found for found in session.scalars(query)}


def lapsed_certificates(on: date) -> Select[Recognition]:
    """Recognised products whose certificate ended for good, or whose cooperative is no longer admitted."""
    gone = ~_certificate_stands(on) & ~_certificate_may_return()
    return (
        select(Recognition)
        .where(Recognition.state == RecognitionState.RECOGNISED, or_(gone, ~_admitted()))
        .order_by(Recognition.id)
    )


class Show(LabelledEnum):
    """What the list of recognitions is narrowed to."""

    ALL = "all", N_("全部")
    UNDER_REVIEW = "under_review", N_("审核中")
    RECOGNISED = "recognised", N_("已认定")
    ENDED = "ended", N_("失效或取消")


def _visible(actor: Actor) -> ColumnElement[bool]:
    if actor.can(Permission.READ_AUDIT) or actor.can(Permission.ANSWER_REVIEWS):
        return Cooperative.village_code.startswith(actor.region_code or "", autoescape=True)
    return Recognition.cooperative_id == (actor.cooperative_id or 0)


def recognitions_visible_to(actor: Actor, show: Show = Show.ALL) -> Select[Recognition]:
    """The recognitions the actor may read, newest first."""
    query = (
        select(Recognition)
        .join(Cooperative, Cooperative.id == Recognition.cooperative_id)
        .where(_visible(actor))
        .order_by(Recognition.id.desc())
    )
    if show is Show.ENDED:
        return query.where(Recognition.state.in_((RecognitionState.LAPSED, RecognitionState.REVOKED)))
    return query if show is Show.ALL else query.where(Recognition.state == RecognitionState(show.value))


def recognition_by_no(session: Session, actor: Actor, number: str) -> Recognition:
    """One visible recognition. Raises NotFound."""
    found = session.scalar(recognitions_visible_to(actor).where(Recognition.public_no == number))
    if found is None:
        raise NotFound
    return found


def public_recognition(session: Session, number: str) -> Recognition:
    """A recognition that was given, whether or not it still stands. Raises NotFound."""
    query = select(Recognition).where(Recognition.public_no == number, Recognition.state.in_(PUBLIC_STATES))
    found = session.scalar(query)
    if found is None:
        raise NotFound
    return found


def events_of(session: Session, recognition: Recognition) -> list[RecognitionEvent]:
    """The history of a recognition, newest first."""
    query = select(RecognitionEvent).where(RecognitionEvent.recognition_id == recognition.id)
    return list(session.scalars(query.order_by(RecognitionEvent.id.desc()).limit(200)))


def live_recognition(session: Session, product_id: int) -> Recognition | None:
    """The latest recognition or application of a product."""
    query = select(Recognition).where(Recognition.product_id == product_id).order_by(Recognition.id.desc())
    return session.scalar(query.limit(1))


def known_average(session: Session, product: Product) -> Reference | None:
    """What the price guard knows goods of the same specification to cost."""
    county = product.cooperative.county_code
    rules = rules_in_force(session, [county], today())[county]
    return guarding_reference(session, product, today(), rules)


def known_average_fen(session: Session, product: Product) -> int | None:
    """The same for one unit, in fen, rounded half up."""
    known = known_average(session, product)
    return half_up(known.per_kg_fen * product.net_mass_g, 1000) if known else None


def notice_of(session: Session, recognition: Recognition) -> ReviewCase | None:
    """The review whose public notice has begun, if any."""
    begun = exists().where(CaseStep.case_id == ReviewCase.id, CaseStep.notice_from <= today())
    query = select(ReviewCase).where(
        ReviewCase.kind == ReviewKind.PRODUCT_RECOGNITION, ReviewCase.subject_id == recognition.id, begun
    )
    return session.scalar(query.order_by(ReviewCase.id.desc()).limit(1))


# --- spot checks ---


def recognised_in(region_code: str) -> Select[Recognition]:
    """The recognised products of a place, those that wait for a check already left out."""
    waiting = exists().where(
        SpotCheck.recognition_id == Recognition.id, SpotCheck.result == CheckResult.WAITING
    )
    return (
        select(Recognition)
        .join(Cooperative, Cooperative.id == Recognition.cooperative_id)
        .where(
            Recognition.state == RecognitionState.RECOGNISED,
            Cooperative.village_code.startswith(region_code, autoescape=True),
            ~waiting,
        )
        .order_by(Recognition.id)
    )


def rounds_visible_to(actor: Actor) -> Select[SpotCheckRound]:
    """The rounds of spot checks in the actor's jurisdiction, newest first."""
    place = actor.region_code or ""
    return (
        select(SpotCheckRound)
        .where(SpotCheckRound.region_code.startswith(place, autoescape=True))
        .order_by(SpotCheckRound.id.desc())
    )


def round_by_no(session: Session, actor: Actor, number: str) -> SpotCheckRound:
    """One visible round. Raises NotFound."""
    found = session.scalar(rounds_visible_to(actor).where(SpotCheckRound.public_no == number))
    if found is None:
        raise NotFound
    return found


def checks_of_round(round_: SpotCheckRound) -> Select[SpotCheck]:
    """What was drawn in a round, what waits first."""
    waits = SpotCheck.result == CheckResult.WAITING
    return select(SpotCheck).where(SpotCheck.round_id == round_.id).order_by(waits.desc(), SpotCheck.id)


def checks_of(session: Session, recognition: Recognition) -> list[SpotCheck]:
    """The spot checks of a recognition, newest first."""
    query = select(SpotCheck).where(SpotCheck.recognition_id == recognition.id)
    return list(session.scalars(query.order_by(SpotCheck.id.desc()).limit(50)))


def counts_of_rounds(session: Session, round_ids: Collection[int]) -> dict[int, dict[CheckResult, int]]:
    """How many checks of each result the rounds have, by round."""
    query = (
        select(SpotCheck.round_id, SpotCheck.result, func.count())
        .where(SpotCheck.round_id.in_(round_ids))
        .group_by(SpotCheck.round_id, SpotCheck.result)
    )
    found: dict[int, dict[CheckResult, int]] = {round_id: {} for round_id in round_ids}
    for round_id, result, count in session.execute(query):
        found[round_id][result] = count
    return found


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: drawn products to check."""
    if not actor.can(Permission.CHECK_RECOGNITIONS):
        return []
    query = (
        select(func.count())
        .select_from(SpotCheck)
        .join(SpotCheckRound, SpotCheckRound.id == SpotCheck.round_id)
        .where(
            SpotCheck.result == CheckResult.WAITING,
            SpotCheckRound.region_code.startswith(actor.region_code or "", autoescape=True),
        )
    )
    count = session.scalar(query) or 0
    return [Task(NN_("%(count)s 个抽中的产品等核查结果"), count, "recognition.rounds")] if count else []
