"""Spot checks of recognised products: drawn at random so that anyone can draw the same, each with a result. A product
that fails loses its recognition."""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.recognition.draw import draw_sample
from marketplace.catalog.recognition.models import (
    CheckResult,
    RecognitionDeed,
    RecognitionState,
    SpotCheck,
    SpotCheckRound,
)
from marketplace.catalog.recognition.queries import recognised_in
from marketplace.catalog.recognition.rules import end_recognition, note_deed
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.ids import random_bits
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Region
from marketplace.registry.reviews.notices import public_reason

MOST_DRAWN = 50
MOST_LOOKED_AT = 100_000


def draw_checks(session: Session, actor: Actor, *, region_code: str, size: int) -> SpotCheckRound:
    """Draw `size` of the recognised products of a place that do not wait for a check already.

    For the province. Raises Refused for a place outside the jurisdiction, or a number that cannot be.
    """
    actor.require(Permission.CHECK_RECOGNITIONS)
    if session.get(Region, region_code) is None or not region_code.startswith(actor.region_code or ""):
        raise Refused("unknown_place", N_("没有这个地方，请重新选择"), field="region_code")
    query = recognised_in(region_code).limit(MOST_LOOKED_AT)
    population = {found.public_no: found for found in session.scalars(query).unique()}
    most = min(MOST_DRAWN, len(population))
    if not population:
        raise Refused("nothing_recognised", N_("这个地方没有可抽查的认定产品"), field="region_code")
    if not 1 <= size <= most:
        raise Refused("sample_size", N_("可以抽 1 到 %(most)s 个产品"), field="size", most=most)
    seed = f"{random_bits(128, purpose='spot check'):032x}"
    drawn = SpotCheckRound(
        region_code=region_code, population=len(population), size=size, seed=seed, drawn_by=actor.user_id
    )
    session.add(drawn)
    session.flush()
    for number in draw_sample(population, size, seed):
        session.add(SpotCheck(round_id=drawn.id, recognition_id=population[number].id))
        note_deed(session, actor, population[number], RecognitionDeed.CHECK_DRAWN)
    record_trail(
        session, actor, "catalog.draw_checks", subject=("spot_check_round", drawn.public_no), size=size
    )
    return drawn


def record_check(session: Session, actor: Actor, check: SpotCheck, *, passed: bool, note: str) -> SpotCheck:
    """Record what a spot check found; one that failed revokes the recognition. The note is public.

    Raises NotFound outside the jurisdiction, Refused without a note, Conflict when a colleague was faster.
    """
    actor.require(Permission.CHECK_RECOGNITIONS)
    drawn = session.get_one(SpotCheckRound, check.round_id)
    if not drawn.region_code.startswith(actor.region_code or ""):
        raise NotFound
    text = public_reason(note)
    session.refresh(check, attribute_names=["result"], with_for_update={"of": SpotCheck})
    if check.result is not CheckResult.WAITING:
        raise Conflict("check_recorded", N_("这个产品的核查结果已经登记过了"))
    check.result = CheckResult.PASSED if passed else CheckResult.FAILED
    check.note, check.checked_by, check.checked_at = text, actor.user_id, now()
    session.flush()
    recognition = check.recognition
    deed = RecognitionDeed.CHECK_PASSED if passed else RecognitionDeed.CHECK_FAILED
    note_deed(session, actor, recognition, deed, reason=text)
    if not passed and recognition.state is RecognitionState.RECOGNISED:
        end_recognition(session, actor, recognition, RecognitionDeed.REVOKED, text)
    record_trail(
        session,
        actor,
        "catalog.record_check",
        subject=("recognition", recognition.public_no),
        cooperative_id=recognition.cooperative_id,
        result=check.result.value,
    )
    return check
