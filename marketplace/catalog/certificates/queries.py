"""Reading certificates: which are in force, what was in force when, who may see which, what they cost and what is
waived."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Select, exists, func, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from marketplace.catalog.certificates.kinds import KINDS
from marketplace.catalog.certificates.models import (
    CertificateDeed,
    CertificateEvent,
    CertificateFee,
    GiUse,
    WaiverState,
)
from marketplace.catalog.models import Certificate, CertificateKind, CertificateState, Product
from marketplace.core.clock import business_day, today
from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, NN_, LabelledEnum
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative
from marketplace.web.tasks import Task

RENEWAL_DAYS = 90  # Green Food rules: a renewal is filed three months before the certificate ends
CAME_BACK = (CertificateState.RETURNED, CertificateState.REJECTED)
DEEDS_OF_STATE = tuple(deed for deed in CertificateDeed if not deed.value.startswith(("fee", "waiver")))
BADGES = tuple(kind for kind, facts in KINDS.items() if facts.gives_badge)


class Standing(LabelledEnum):
    """What a certificate is worth on a day: its state, and the calendar."""

    IN_FORCE = "in_force", N_("有效")
    NOT_BEGUN = "not_begun", N_("尚未生效")
    EXPIRED = "expired", N_("已过期")
    UNDER_REVIEW = "under_review", N_("审核中")
    RETURNED = "returned", N_("退回补正")
    REJECTED = "rejected", N_("未通过")
    SUSPENDED = "suspended", N_("暂停使用")
    REVOKED = "revoked", N_("已撤销")


def standing(certificate: Certificate, on: date) -> Standing:
    """What a certificate is worth on a day. It ends with the day before `expires_on`."""
    if certificate.state is not CertificateState.VALID:
        return Standing(certificate.state.value)
    if on < certificate.issued_on:
        return Standing.NOT_BEGUN
    return Standing.IN_FORCE if on < certificate.expires_on else Standing.EXPIRED


def is_in_force(certificate: Certificate | None, on: date) -> bool:
    """Whether a certificate holds on a day: reviewed, begun, not expired, not suspended."""
    return certificate is not None and standing(certificate, on) is Standing.IN_FORCE


def badges_of(product: Product, on: date) -> list[Certificate]:
    """The certificates a product shows on a day, one of a kind: in force, and of a kind that gives a badge."""
    shown: dict[CertificateKind, Certificate] = {}
    for certificate in sorted(product.certificates, key=lambda one: one.id, reverse=True):
        if certificate.kind in BADGES and is_in_force(certificate, on):
            shown.setdefault(certificate.kind, certificate)
    return sorted(shown.values(), key=lambda one: BADGES.index(one.kind))


def certificates_of(session: Session, product_ids: Iterable[int], on: date) -> dict[int, list[Certificate]]:
    """The certificates that each of these products shows on a day, one of a kind, in one statement."""
    wanted = list(product_ids)
    query = (
        select(Certificate)
        .where(
            Certificate.product_id.in_(wanted),
            Certificate.kind.in_(BADGES),
            Certificate.state == CertificateState.VALID,
            Certificate.issued_on <= on,
            Certificate.expires_on > on,
        )
        .order_by(Certificate.id.desc())
    )
    found: dict[int, dict[CertificateKind, Certificate]] = {product_id: {} for product_id in wanted}
    for certificate in session.scalars(query):
        found[certificate.product_id].setdefault(certificate.kind, certificate)
    return {
        product_id: sorted(shown.values(), key=lambda one: BADGES.index(one.kind))
        for product_id, shown in found.items()
    }


def may_claim_organic(product: Product, on: date) -> bool:
    """Whether a product's words may call it organic on a day."""
    return any(one.kind is CertificateKind.ORGANIC for one in badges_of(product, on))


def in_force_at(session: Session, product_id: int, at: datetime) -> list[Certificate]:
    """The certificates of a product that were in force at an instant, whatever happened since: by their history."""
    day = business_day(at)
    own = select(Certificate.id).where(Certificate.product_id == product_id)
    last = (
        select(CertificateEvent.certificate_id, func.max(CertificateEvent.id).label("event_id"))
        .where(
            CertificateEvent.certificate_id.in_(own),
            CertificateEvent.at <= at,
            CertificateEvent.deed.in_(DEEDS_OF_STATE),
        )
        .group_by(CertificateEvent.certificate_id)
        .subquery()
    )
    query = (
        select(Certificate)
        .join(last, last.c.certificate_id == Certificate.id)
        .join(CertificateEvent, CertificateEvent.id == last.c.event_id)
        .where(
            CertificateEvent.state == CertificateState.VALID,
            Certificate.issued_on <= day,
            Certificate.expires_on > day,
        )
        .order_by(Certificate.id)
    )
    return list(session.scalars(query))


def _visible(actor: Actor) -> ColumnElement[bool]:
    """A cooperative sees its own, officials and auditors those of their jurisdiction."""
    if actor.can(Permission.READ_AUDIT) or actor.can(Permission.ANSWER_REVIEWS):
        return Cooperative.county_code.startswith(actor.region_code or "", autoescape=True)
    return Certificate.cooperative_id == (actor.cooperative_id or 0)


class Show(LabelledEnum):
    """What the list of certificates is narrowed to."""

    ALL = "all", N_("全部")
    IN_FORCE = "in_force", N_("有效")
    ENDING = "ending", N_("快到期")
    WAIVERS = "waivers", N_("减免待批")
    ENDED = "ended", N_("过期或停用")


def certificates_visible_to(actor: Actor, show: Show = Show.ALL) -> Select[Certificate]:
    """The certificates the actor may read, those that end first at the top."""
    query = (
        select(Certificate)
        .join(Cooperative, Cooperative.id == Certificate.cooperative_id)
        .where(_visible(actor))
        .options(joinedload(Certificate.product))
    )
    if show is Show.WAIVERS:
        asked = select(CertificateFee.certificate_id).where(CertificateFee.state == WaiverState.ASKED)
        query = query.where(Certificate.id.in_(asked))
    elif show is not Show.ALL:
        query = query.where(_shown(show))
    return query.order_by(Certificate.expires_on, Certificate.id)


def _shown(show: Show) -> ColumnElement[bool]:
    day, is_valid = today(), Certificate.state == CertificateState.VALID
    if show is Show.ENDED:
        stopped = Certificate.state.in_((CertificateState.SUSPENDED, CertificateState.REVOKED))
        return or_(stopped, is_valid & (Certificate.expires_on <= day))
    if show is Show.ENDING:
        return is_valid & waits_for_renewal()
    return is_valid & (Certificate.issued_on <= day) & (Certificate.expires_on > day)


def waits_for_renewal() -> ColumnElement[bool]:
    """Ends within three months, and no renewal is on its way or there."""
    renewal = aliased(Certificate)
    renewed = exists().where(renewal.renews_id == Certificate.id, renewal.state.not_in(CAME_BACK))
    return Certificate.expires_on.between(
        today() + timedelta(days=1), today() + timedelta(days=RENEWAL_DAYS)
    ) & (~renewed)


def certificate_by_no(session: Session, actor: Actor, number: str) -> Certificate:
    """One visible certificate. Raises NotFound."""
    found = session.scalar(certificates_visible_to(actor).where(Certificate.public_no == number))
    if found is None:
        raise NotFound
    return found


def public_certificate(session: Session, number: str) -> Certificate:
    """A certificate that has been valid at some time, for the public check. Raises NotFound."""
    was_valid = exists().where(
        CertificateEvent.certificate_id == Certificate.id, CertificateEvent.state == CertificateState.VALID
    )
    found = session.scalar(select(Certificate).where(Certificate.public_no == number, was_valid))
    if found is None:
        raise NotFound
    return found


def events_of(session: Session, certificate: Certificate) -> list[CertificateEvent]:
    """The history of a certificate, newest first."""
    query = select(CertificateEvent).where(CertificateEvent.certificate_id == certificate.id)
    return list(session.scalars(query.order_by(CertificateEvent.id.desc()).limit(200)))


def public_steps_of(session: Session, certificate: Certificate) -> list[CertificateEvent]:
    """What the public check tells of the history: when it was valid, suspended, lifted, revoked; newest first."""
    told = (
        CertificateDeed.PASSED,
        CertificateDeed.SUSPENDED,
        CertificateDeed.LIFTED,
        CertificateDeed.REVOKED,
    )
    return [event for event in events_of(session, certificate) if event.deed in told]


def renewal_of(session: Session, certificate: Certificate) -> Certificate | None:
    """The renewal of a certificate that is on its way or there."""
    query = select(Certificate).where(
        Certificate.renews_id == certificate.id, Certificate.state.not_in(CAME_BACK)
    )
    return session.scalar(query.limit(1))


def fees_of(session: Session, certificate_ids: Collection[int]) -> dict[int, CertificateFee]:
    """The fees of certificates, by id."""
    query = select(CertificateFee).where(CertificateFee.certificate_id.in_(certificate_ids))
    return {fee.certificate_id: fee for fee in session.scalars(query)}


def gi_uses_of(session: Session, certificate_ids: Collection[int]) -> dict[int, GiUse]:
    """The yearly agreements behind certificates, by id."""
    query = select(GiUse).where(GiUse.certificate_id.in_(certificate_ids))
    return {use.certificate_id: use for use in session.scalars(query)}


def gi_grams_left(session: Session, product_ids: Iterable[int], on: date) -> dict[int, int]:
    """The most grams that may be sold at once under the agreements in force of products that have one."""
    query = (
        select(Certificate.product_id, func.max(GiUse.cap_g - GiUse.sold_g))
        .join(GiUse, GiUse.certificate_id == Certificate.id)
        .where(
            Certificate.product_id.in_(list(product_ids)),
            Certificate.state == CertificateState.VALID,
            Certificate.issued_on <= on,
            Certificate.expires_on > on,
        )
        .group_by(Certificate.product_id)
    )
    return {product_id: int(grams) for product_id, grams in session.execute(query)}


@dataclass(frozen=True)
class Waived:
    """What certificates of one cooperative cost and what of it is waived, in fen."""

    cooperative: str
    certificates: int
    fee_fen: int
    waived_fen: int


def waived_totals(session: Session, actor: Actor) -> list[Waived]:
    """Fees and what is waived of them by cooperative, the most waived first, at most a hundred."""
    query = (
        select(
            Cooperative.name,
            func.count(CertificateFee.certificate_id),
            func.sum(CertificateFee.fee_fen),
            func.sum(CertificateFee.waived_fen),
        )
        .join(Certificate, Certificate.id == CertificateFee.certificate_id)
        .join(Cooperative, Cooperative.id == Certificate.cooperative_id)
        .where(_visible(actor))
        .group_by(Cooperative.id, Cooperative.name)
        .order_by(func.sum(CertificateFee.waived_fen).desc(), Cooperative.id)
        .limit(100)
    )
    return [Waived(name, count, int(fee), int(waived)) for name, count, fee, waived in session.execute(query)]


def cooperative_names(session: Session, cooperative_ids: Iterable[int]) -> Mapping[int, str]:
    """The names of cooperatives, by id."""
    query = select(Cooperative.id, Cooperative.name).where(Cooperative.id.in_(set(cooperative_ids)))
    return dict(session.execute(query).all())


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What waits: renewals of a cooperative's certificates, waivers for the county to decide."""
    tasks = []
    if actor.can(Permission.MANAGE_LISTINGS) and actor.cooperative_id is not None:
        tasks.append(
            Task(
                NN_("%(count)s 张证书三个月内到期，请办理续展"),
                _count(session, certificates_visible_to(actor, Show.ENDING)),
                "certificates.index",
                {"show": Show.ENDING.value},
            )
        )
    if actor.can(Permission.WAIVE_FEES):
        tasks.append(
            Task(
                NN_("%(count)s 项认证费减免等您决定"),
                _count(session, certificates_visible_to(actor, Show.WAIVERS)),
                "certificates.index",
                {"show": Show.WAIVERS.value},
            )
        )
    return [task for task in tasks if task.count]


def _count(session: Session, query: Select[Certificate]) -> int:
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
