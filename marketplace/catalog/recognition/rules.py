"""Recognition of aid products: the application, the end of its review, lapse, revocation.

What is written is for the public notice, so anything that looks like a personal number is refused.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from marketplace.catalog.certificates.queries import badges_of, is_in_force
from marketplace.catalog.certificates.rules import require_county
from marketplace.catalog.models import Certificate, Product
from marketplace.catalog.recognition.models import (
    Recognition,
    RecognitionDeed,
    RecognitionEvent,
    RecognitionState,
)
from marketplace.catalog.recognition.queries import known_average_fen, lapsed_certificates, live_recognition
from marketplace.catalog.rules import ask_for_index
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewKind
from marketplace.registry.reviews.notices import MAX_REASON, public_reason, refuse_personal_numbers
from marketplace.registry.reviews.queries import last_decision_of
from marketplace.registry.reviews.rules import open_review

MAX_PRICE_FEN = 100_000_00
LENGTHS = {"quality": 300, "price_source": 200, "linkage": 300}
LAPSED_WITH_CERTIFICATE = N_("所凭证书已到期或撤销")
LAPSED_WITH_COOPERATIVE = N_("合作社已不在准入名单")


def apply_recognition(
    session: Session,
    actor: Actor,
    *,
    product: Product,
    quality: str,
    price_fen: int,
    reference_fen: int,
    price_source: str,
    linkage: str,
    certificate: Certificate | None = None,
) -> Recognition:
    """Apply for the recognition of `product`, or hand in again what came back.

    `price_fen` is the price of a unit, `reference_fen` the average of the same specification from `price_source`.
    Raises Refused naming the field for missing or personal text, a price above the average, or a missing certificate;
    Conflict when it is recognised or under review already.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != product.cooperative_id:
        raise NotFound
    if session.get_one(Cooperative, product.cooperative_id).state is not CooperativeState.ADMITTED:
        raise Refused("not_admitted", N_("合作社通过准入审核后才能申请认定"))
    texts = {"quality": quality.strip(), "price_source": price_source.strip(), "linkage": linkage.strip()}
    _check_texts(product, texts)
    _check_prices(price_fen, reference_fen)
    _check_known(session, product, reference_fen)
    _check_certificate(product, certificate)
    last = live_recognition(session, product.id)
    if last is not None and last.state in (RecognitionState.UNDER_REVIEW, RecognitionState.RECOGNISED):
        raise Conflict("recognition_there", N_("这个产品已认定或正在审核，不必重复申请"))
    is_mended = last is not None and last.state is RecognitionState.RETURNED
    found = last if last is not None and is_mended else Recognition(product=product)
    found.cooperative_id = product.cooperative_id
    found.certificate_id = certificate.id if certificate else None
    found.price_fen, found.reference_fen = price_fen, reference_fen
    found.quality, found.price_source, found.linkage = (
        texts["quality"],
        texts["price_source"],
        texts["linkage"],
    )
    found.state = RecognitionState.UNDER_REVIEW
    session.add(found)
    session.flush()
    note_deed(session, actor, found, RecognitionDeed.APPLIED)
    open_review(
        session,
        actor,
        kind=ReviewKind.PRODUCT_RECOGNITION,
        subject_id=found.id,
        title=f"{product.name}（{product.specification}）",
        region_code=product.village_code,
        cooperative_id=product.cooperative_id,
    )
    record_trail(session, actor, "catalog.apply_recognition", subject=("recognition", found.public_no))
    return found


def _check_texts(product: Product, texts: dict[str, str]) -> None:
    for field, text in texts.items():
        if not text:
            raise Refused("words_missing", N_("请填写这一项"), field=field)
        if len(text) > LENGTHS[field]:
            raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field=field, most=LENGTHS[field])
        refuse_personal_numbers(text, field=field)
    refuse_personal_numbers(f"{product.name} {product.specification}", field="quality")


def _check_prices(price_fen: int, reference_fen: int) -> None:
    if not 0 < price_fen <= MAX_PRICE_FEN:
        raise Refused("price", N_("单价须大于 0 且不超过 10 万元"), field="price")
    if not 0 < reference_fen <= MAX_PRICE_FEN:
        raise Refused("reference", N_("同规格平均价须大于 0 且不超过 10 万元"), field="reference")
    if price_fen > reference_fen:
        raise Refused(
            "above_average", N_("认定要求价格不高于同规格产品的平均价，请降价后再申请"), field="price"
        )


def _check_known(session: Session, product: Product, reference_fen: int) -> None:
    """An average is not stated above what the price guard knows of the same specification."""
    known_fen = known_average_fen(session, product)
    if known_fen is not None and reference_fen > known_fen:
        raise Refused(
            "above_known_average",
            N_("平台已有同规格的参考价，合每件 %(yuan)s 元，平均价不能写得更高"),
            field="reference",
            yuan=format_yuan(known_fen),
        )


def _check_certificate(product: Product, certificate: Certificate | None) -> None:
    if certificate is None:
        if product.category.needs_certificate:
            raise Refused("certificate_missing", N_("这类产品须凭有效认证证书申请认定"), field="certificate")
        return
    if certificate.product_id != product.id:
        raise NotFound
    if not is_in_force(certificate, today()) or certificate not in badges_of(product, today()):
        raise Refused("certificate_not_in_force", N_("所选证书现在无效，请换一张"), field="certificate")


def note_deed(
    session: Session, actor: Actor, recognition: Recognition, deed: RecognitionDeed, *, reason: str = ""
) -> None:
    """Write a line of the recognition's history."""
    session.add(
        RecognitionEvent(
            recognition_id=recognition.id,
            deed=deed,
            state=recognition.state,
            reason=reason,
            actor_user_id=actor.user_id,
            actor_name=actor.name,
        )
    )
    session.flush()


OUTCOME_OF = {
    CaseState.PASSED: (RecognitionState.RECOGNISED, RecognitionDeed.RECOGNISED),
    CaseState.REJECTED: (RecognitionState.REJECTED, RecognitionDeed.REJECTED),
    CaseState.RETURNED: (RecognitionState.RETURNED, RecognitionDeed.RETURNED),
}


def apply_recognition_outcome(session: Session, case: ReviewCase) -> None:
    """What the end of a review means for the recognition."""
    recognition = session.get_one(Recognition, case.subject_id)
    state, deed = OUTCOME_OF[case.state]
    if state is RecognitionState.RECOGNISED:
        recognition.recognised_on = today()
    recognition.state = state
    decision = last_decision_of(session, case)
    session.add(
        RecognitionEvent(
            recognition_id=recognition.id,
            deed=deed,
            state=state,
            reason=decision.comment[:MAX_REASON] if decision and decision.decided_by else "",
            actor_user_id=decision.decided_by if decision else None,
            actor_name=decision.decided_by_name if decision else SYSTEM.name,
        )
    )
    ask_for_index(session, recognition.product)
    session.flush()


def revoke_recognition(
    session: Session, actor: Actor, recognition: Recognition, *, reason: str
) -> Recognition:
    """End a recognition for good; the reason is public.

    For the county. Raises NotFound outside the jurisdiction, Refused without a reason, Conflict when it does not stand.
    """
    require_county(session, actor, recognition.cooperative_id, Permission.SUSPEND_CERTIFICATES)
    return end_recognition(session, actor, recognition, RecognitionDeed.REVOKED, public_reason(reason))


def end_recognition(
    session: Session, actor: Actor, recognition: Recognition, deed: RecognitionDeed, reason: str
) -> Recognition:
    """Let a recognition lapse, or revoke it: a step of its own in history. Raises Conflict when it does not stand."""
    session.refresh(recognition, attribute_names=["state"], with_for_update={"of": Recognition})
    if recognition.state is not RecognitionState.RECOGNISED:
        raise Conflict("not_recognised", N_("这项认定现在不在有效状态"))
    is_lapse = deed is RecognitionDeed.LAPSED
    recognition.state = RecognitionState.LAPSED if is_lapse else RecognitionState.REVOKED
    recognition.ended_on = today()
    session.flush()
    note_deed(session, actor, recognition, deed, reason=reason)
    ask_for_index(session, recognition.product)
    record_trail(
        session,
        actor,
        "catalog.end_recognition",
        subject=("recognition", recognition.public_no),
        cooperative_id=recognition.cooperative_id,
        reason=reason,
    )
    return recognition


def lapse_recognitions(session: Session, *, limit: int = 200) -> int:
    """Let recognitions lapse whose certificate has ended or whose cooperative is not admitted any more; how many.
    Badges are off already: pages look at the day itself."""
    over = session.scalars(lapsed_certificates(today()).limit(limit)).unique().all()
    for recognition in over:
        cooperative = session.get_one(Cooperative, recognition.cooperative_id)
        is_admitted = cooperative.state is CooperativeState.ADMITTED
        reason = LAPSED_WITH_CERTIFICATE if is_admitted else LAPSED_WITH_COOPERATIVE
        end_recognition(session, SYSTEM, recognition, RecognitionDeed.LAPSED, reason)
    return len(over)
