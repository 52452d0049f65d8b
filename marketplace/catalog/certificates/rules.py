"""The way of a certificate: application and renewal, the end of its review, suspension, lifting, revocation.

Every step leaves a line in its history, in the same transaction. A certificate that was valid never changes its number,
product or days: a renewal is a certificate of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.claims import refuse_organic_claim
from marketplace.catalog.certificates.kinds import KINDS, Numbers
from marketplace.catalog.certificates.models import CertificateDeed, CertificateEvent, GiUse
from marketplace.catalog.certificates.queries import CAME_BACK, may_claim_organic
from marketplace.catalog.models import Certificate, CertificateKind, CertificateState, Product
from marketplace.catalog.queries import listing_of_product
from marketplace.catalog.rules import ask_for_index
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import SYSTEM, Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Cooperative
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewKind
from marketplace.registry.reviews.notices import MAX_REASON, public_reason
from marketplace.registry.reviews.queries import last_decision_of
from marketplace.registry.reviews.rules import open_review

SHARED = (CertificateKind.GI_FARM_PRODUCT, CertificateKind.GI_PROTECTED, CertificateKind.GI_MARK)
KEPT_WHEN_RENEWED = (CertificateKind.ORGANIC, CertificateKind.ORGANIC_CONVERSION)
MAX_AREA_CMU = 100_000_00
MAX_CAP_G = 100_000_000_000


@dataclass(frozen=True)
class UseTerms:
    """A yearly agreement on the use of a geographical indication: its holder, hundredths of a mu, grams."""

    holder: str
    area_cmu: int
    cap_g: int


def apply_certificate(
    session: Session,
    actor: Actor,
    *,
    product: Product,
    number: str,
    issued_on: date,
    expires_on: date,
    kind: CertificateKind = CertificateKind.GREEN_FOOD,
    enterprise_no: str = "",
    issuer: str = "",
    use: UseTerms | None = None,
    renews: Certificate | None = None,
    file: StoredFile | None = None,
) -> Certificate:
    """Put a certificate of `product` under review: for the first time, again after it came back, or as a renewal.

    `enterprise_no` is the second number of its kind, `use` the agreement a farm product's geographical indication
    needs. Raises Refused naming the field for numbers of the wrong form, days that cannot be or an organic claim of
    goods in conversion; Conflict when the number is registered already.
    """
    _require_own(actor, product)
    cooperative = session.get_one(Cooperative, product.cooperative_id)
    numbers = KINDS[kind].read(number, enterprise_no, issued_on)
    _check_dates(kind, issued_on, expires_on)
    _check_use(kind, use)
    _check_renewal(session, product, kind, renews)
    if kind is CertificateKind.ORGANIC_CONVERSION:
        _refuse_claims(session, product)
    certificate = _certificate_to_review(session, product, kind, numbers, issued_on)
    certificate.enterprise_no = numbers.second
    certificate.issuer = issuer.strip()[:80]
    certificate.issued_on, certificate.expires_on = issued_on, expires_on
    certificate.state = CertificateState.UNDER_REVIEW
    certificate.renews_id = renews.id if renews else None
    if file is not None:
        certificate.file_id = file.id
    session.add(certificate)
    session.flush()
    if use is not None:
        session.merge(
            GiUse(
                certificate_id=certificate.id,
                holder=use.holder.strip(),
                area_cmu=use.area_cmu,
                cap_g=use.cap_g,
                sold_g=0,
            )
        )
    note_deed(session, actor, certificate, CertificateDeed.APPLIED)
    open_review(
        session,
        actor,
        kind=ReviewKind.CERTIFICATE,
        subject_id=certificate.id,
        title=f"{product.name} {numbers.number}",
        region_code=cooperative.county_code,
        cooperative_id=cooperative.id,
    )
    record_trail(session, actor, "catalog.apply_certificate", subject=("certificate", certificate.public_no))
    return certificate


def _require_own(actor: Actor, product: Product) -> None:
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != product.cooperative_id:
        raise NotFound


def _check_dates(kind: CertificateKind, issued_on: date, expires_on: date) -> None:
    if issued_on > today():
        raise Refused("certificate_not_begun", N_("发证日不能晚于今天"), field="issued_on")
    if expires_on <= issued_on:
        raise Refused("certificate_dates", N_("到期日须晚于发证日"), field="expires_on")
    if (expires_on - issued_on).days > KINDS[kind].most_days:
        raise Refused(
            "certificate_term",
            N_("“%(kind)s”的有效期最长 %(days)s 天，请核对到期日"),
            field="expires_on",
            kind=kind,
            days=KINDS[kind].most_days,
        )
    if expires_on <= today():
        raise Refused("certificate_expired", N_("证书已过期，请先办理续展"), field="expires_on")


def _check_use(kind: CertificateKind, use: UseTerms | None) -> None:
    if not KINDS[kind].by_use:
        if use is not None:
            raise Refused("use_not_wanted", N_("这类证书不填使用协议"), field="holder")
        return
    if use is None or not 1 <= len(use.holder.strip()) <= 80:
        raise Refused("use_holder", N_("请填写登记证书的持有人，最多 80 个字"), field="holder")
    if not 0 < use.area_cmu <= MAX_AREA_CMU:
        raise Refused("use_area", N_("协议面积须大于 0 且不超过 10 万亩"), field="area")
    if not 0 < use.cap_g <= MAX_CAP_G:
        raise Refused("use_cap", N_("协议数量须大于 0 且不超过 10 万吨"), field="cap")


def _check_renewal(
    session: Session, product: Product, kind: CertificateKind, renews: Certificate | None
) -> None:
    if renews is None:
        return
    if renews.product_id != product.id or renews.kind is not kind:
        raise Refused("renews_another", N_("续展的证书须是同一产品、同一类别"), field="kind")
    later = select(Certificate.id).where(
        Certificate.renews_id == renews.id, Certificate.state.not_in(CAME_BACK)
    )
    if session.scalar(later.limit(1)):
        raise Conflict("renewed_already", N_("这张证书的续展已经提交过了"))


def _refuse_claims(session: Session, product: Product) -> None:
    """Goods in conversion are not called organic, neither by their name nor by what is on sale."""
    if may_claim_organic(product, today()):
        return
    listing = listing_of_product(session, product)
    version = listing.current_version if listing else None
    for text in (
        product.name,
        product.description,
        *((version.title, version.description) if version else ()),
    ):
        refuse_organic_claim(text, field="kind")


def _certificate_to_review(
    session: Session, product: Product, kind: CertificateKind, numbers: Numbers, issued_on: date
) -> Certificate:
    """A new certificate of a product, or the one under this number that came back from its review."""
    query = select(Certificate).where(Certificate.kind == kind, Certificate.number == numbers.number)
    if kind in SHARED:
        query = query.where(Certificate.product_id == product.id, Certificate.issued_on == issued_on)
    elif kind in KEPT_WHEN_RENEWED:
        others = Certificate.cooperative_id != product.cooperative_id
        same = (Certificate.product_id == product.id) & (Certificate.issued_on == issued_on)
        query = query.where(others | same).order_by(others.desc())
    found = session.scalars(query.with_for_update()).first()
    if found is None:
        return Certificate(
            cooperative_id=product.cooperative_id, product=product, kind=kind, number=numbers.number
        )
    if found.product_id != product.id or found.state not in CAME_BACK:
        raise Conflict(
            "certificate_taken",
            N_("编号 %(number)s 已登记，不能重复使用"),
            field="number",
            number=numbers.number,
        )
    return found


OUTCOME_OF = {
    CaseState.PASSED: (CertificateState.VALID, CertificateDeed.PASSED),
    CaseState.REJECTED: (CertificateState.REJECTED, CertificateDeed.REJECTED),
    CaseState.RETURNED: (CertificateState.RETURNED, CertificateDeed.RETURNED),
}


def apply_certificate_outcome(session: Session, case: ReviewCase) -> None:
    """What the end of a certificate's review means for the certificate."""
    certificate = session.get_one(Certificate, case.subject_id)
    certificate.state, deed = OUTCOME_OF[case.state]
    decision = last_decision_of(session, case)
    session.add(
        CertificateEvent(
            certificate_id=certificate.id,
            deed=deed,
            state=certificate.state,
            reason=decision.comment[:MAX_REASON] if decision else "",
            actor_user_id=decision.decided_by if decision else None,
            actor_name=decision.decided_by_name if decision else SYSTEM.name,
        )
    )
    ask_for_index(session, certificate.product)
    session.flush()


def note_deed(
    session: Session,
    actor: Actor,
    certificate: Certificate,
    deed: CertificateDeed,
    *,
    reason: str = "",
    amount_fen: int | None = None,
) -> None:
    """Write a line of the certificate's history."""
    session.add(
        CertificateEvent(
            certificate_id=certificate.id,
            deed=deed,
            state=certificate.state,
            reason=reason,
            amount_fen=amount_fen,
            actor_user_id=actor.user_id,
            actor_name=actor.name,
        )
    )
    session.flush()


def suspend_certificate(
    session: Session, actor: Actor, certificate: Certificate, *, reason: str
) -> Certificate:
    """Stop the use of a valid certificate; goods that need it are not sold from this moment on.

    For the county's reviewers. Raises Conflict when it is not valid, Refused without a reason; the reason is public.
    """
    return _turn(
        session,
        actor,
        certificate,
        deed=CertificateDeed.SUSPENDED,
        from_states=(CertificateState.VALID,),
        to=CertificateState.SUSPENDED,
        reason=reason,
    )


def lift_suspension(session: Session, actor: Actor, certificate: Certificate, *, reason: str) -> Certificate:
    """Let a suspended certificate be used again. Raises as `suspend_certificate` does."""
    return _turn(
        session,
        actor,
        certificate,
        deed=CertificateDeed.LIFTED,
        from_states=(CertificateState.SUSPENDED,),
        to=CertificateState.VALID,
        reason=reason,
    )


def revoke_certificate(
    session: Session, actor: Actor, certificate: Certificate, *, reason: str
) -> Certificate:
    """End a certificate for good. What was sold while it was valid stays certified. Raises as above."""
    return _turn(
        session,
        actor,
        certificate,
        deed=CertificateDeed.REVOKED,
        from_states=(CertificateState.VALID, CertificateState.SUSPENDED),
        to=CertificateState.REVOKED,
        reason=reason,
    )


def _turn(
    session: Session,
    actor: Actor,
    certificate: Certificate,
    *,
    deed: CertificateDeed,
    from_states: tuple[CertificateState, ...],
    to: CertificateState,
    reason: str,
) -> Certificate:
    require_county(session, actor, certificate.cooperative_id, Permission.SUSPEND_CERTIFICATES)
    text = public_reason(reason)
    session.refresh(certificate, attribute_names=["state"], with_for_update={"of": Certificate})
    if certificate.state not in from_states:
        raise Conflict(
            "certificate_state", N_("证书现在是“%(state)s”，不能这样办理"), state=certificate.state
        )
    certificate.state = to
    note_deed(session, actor, certificate, deed, reason=text)
    ask_for_index(session, certificate.product)
    record_trail(
        session,
        actor,
        f"catalog.{deed.value}_certificate",
        subject=("certificate", certificate.public_no),
        cooperative_id=certificate.cooperative_id,
        reason=text,
    )
    session.flush()
    return certificate


def require_county(
    session: Session, actor: Actor, cooperative_id: int, permission: Permission
) -> Cooperative:
    """A cooperative of the actor's county. Raises Forbidden without the permission, NotFound outside the county."""
    actor.require(permission)
    cooperative = session.get_one(Cooperative, cooperative_id)
    if not actor.region_code or not cooperative.county_code.startswith(actor.region_code):
        raise NotFound
    return cooperative
