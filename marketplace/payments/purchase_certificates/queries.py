"""What a purchase certificate says, who reads it, and the public check behind its QR code.

The income is what stands of the credits of its lines: credits and additions, less what refunds and corrections took
back. DIRECT and ALLOCATED stand apart and are never added up into one claim (domain.md, section 5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, union_all
from sqlalchemy.orm import Session, aliased, joinedload

from marketplace.core.clock import end_of, start_of
from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Attribution
from marketplace.ordering.models import Order, OrderKind, OrderLine, OrderPart
from marketplace.payments.counted import completed_within, is_complete, refunded_by_line
from marketplace.payments.models import Credit, LinkagePool, Settlement
from marketplace.payments.purchase_certificates.models import (
    CertificateWithdrawal,
    CertifiedLine,
    PurchaseCertificate,
)
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.registry.models import Region, UnitKind
from marketplace.web.tasks import Task

HASH_SHOWN = 16  # characters of the content hash that stand on the paper and in the check
FEWEST_SHOWN = 5  # fewer households than this are not told to the public (domain.md, section 13)


@dataclass(frozen=True)
class Purchase:
    """A completed line that stands on no valid certificate; `replaces_id` is the withdrawn one it stood on last."""

    line_id: int
    net_fen: int
    replaces_id: int | None
    is_settled: bool


@dataclass(frozen=True)
class CertificateFigures:
    """What a certificate says, in fen; `waiting_fen` are pools that nobody was credited from yet."""

    net_fen: int
    lines: int
    cooperatives: int
    households: int
    by_attribution: Mapping[str, int]
    waiting_fen: int

    def document(self) -> dict[str, Any]:
        """Fit for JSON, to be kept."""
        return {
            "net_fen": self.net_fen,
            "lines": self.lines,
            "cooperatives": self.cooperatives,
            "households": self.households,
            "by_attribution": dict(self.by_attribution),
            "waiting_fen": self.waiting_fen,
        }


def purchases_to_certify(
    session: Session, unit_id: int, kind: OrderKind, since: date, until: date
) -> list[Purchase]:
    """The lines a unit completed over the days [since, until] that a certificate can be issued for, by id."""
    wanted = (
        Order.buyer_unit_id == unit_id,
        Order.kind == kind,
        completed_within(start_of(since), end_of(until)),
    )
    return _purchases(session, *wanted)


def purchases_named(session: Session, line_ids: Collection[int]) -> list[Purchase]:
    """Those of these lines that a certificate can be issued for, by id, as the database has them now."""
    return _purchases(session, OrderLine.id.in_(line_ids))


def _purchases(session: Session, *wanted: ColumnElement[bool]) -> list[Purchase]:
    refunded, later = refunded_by_line(), aliased(CertifiedLine)
    net = OrderLine.net_fen - func.coalesce(refunded.c.refunded_fen, 0)
    is_last = ~exists().where(
        later.replaces_id == CertifiedLine.certificate_id, later.line_id == CertifiedLine.line_id
    )
    withdrawn = CertificateWithdrawal.certificate_id
    query = (
        select(OrderLine.id, net, withdrawn, Settlement.line_id.is_not(None))
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .join(Order, Order.id == OrderPart.order_id)
        .outerjoin(refunded, refunded.c.line_id == OrderLine.id)
        .outerjoin(Settlement, Settlement.line_id == OrderLine.id)
        .outerjoin(CertifiedLine, and_(CertifiedLine.line_id == OrderLine.id, is_last))
        .outerjoin(CertificateWithdrawal, withdrawn == CertifiedLine.certificate_id)
        .where(is_complete(), net > 0, CertifiedLine.line_id.is_(None) | withdrawn.is_not(None), *wanted)
        .order_by(OrderLine.id)
    )
    return [Purchase(line_id, int(fen), *rest) for line_id, fen, *rest in session.execute(query)]


def figures_of(session: Session, net_by_line: Mapping[int, int]) -> CertificateFigures:
    """What stands today of the lines with these nets, in three statements."""
    ids = sorted(net_by_line)
    by_attribution: dict[Attribution, int] = {}
    by_household: dict[int, int] = {}
    for attribution, household_id, fen in session.execute(_standing(ids)):
        by_attribution[attribution] = by_attribution.get(attribution, 0) + int(fen)
        by_household[household_id] = by_household.get(household_id, 0) + int(fen)
    shops = select(func.count(OrderLine.cooperative_id.distinct())).where(OrderLine.id.in_(ids))
    waiting = select(func.coalesce(func.sum(LinkagePool.pool_fen), 0)).where(
        LinkagePool.line_id.in_(ids),
        LinkagePool.waiting,
        ~exists().where(Credit.pool_id == LinkagePool.id),
    )
    return CertificateFigures(
        net_fen=sum(net_by_line.values()),
        lines=len(ids),
        cooperatives=session.scalar(shops) or 0,
        households=sum(1 for fen in by_household.values() if fen > 0),
        by_attribution={one.value: by_attribution[one] for one in Attribution if one in by_attribution},
        waiting_fen=int(session.scalar(waiting) or 0),
    )


def _standing(line_ids: Collection[int]) -> Select[Any]:
    """Attribution, household and fen of what stands of the credits of lines."""
    arms = [
        select(model.pool_id, model.household_id, fen.label("fen")).where(model.line_id.in_(line_ids))
        for model, fen in (
            (Credit, Credit.amount_fen),
            (CreditAddition, CreditAddition.amount_fen),
            (CreditReversal, -CreditReversal.amount_fen),
        )
    ]
    changes = union_all(*arms).subquery()
    group = (LinkagePool.attribution, changes.c.household_id)
    query = select(*group, func.sum(changes.c.fen)).join(LinkagePool, LinkagePool.id == changes.c.pool_id)
    return query.group_by(*group)


def content_hash(certificate: PurchaseCertificate) -> str:
    """SHA-256 over what stands on a certificate; the token in it keeps the hash from telling anything by itself."""
    content = {
        "number": certificate.public_no,
        "token": certificate.token,
        "unit": certificate.buyer_unit_id,
        "kind": certificate.kind.value,
        "since": certificate.since_on.isoformat(),
        "until": certificate.until_on.isoformat(),
        "issued_at": certificate.issued_at.isoformat(),
        "lines": {str(one.line_id): one.net_fen for one in certificate.lines},
        "figures": certificate.figures,
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


# --- who reads which certificate ---


def certificates_visible_to(actor: Actor) -> Select[PurchaseCertificate]:
    """Certificates, newest first: a unit's own; all of them for an auditor."""
    query = select(PurchaseCertificate).order_by(PurchaseCertificate.id.desc())
    if actor.can(Permission.READ_AUDIT):
        return query
    return query.where(PurchaseCertificate.buyer_unit_id == actor.buyer_unit_id)


def certificate_by_no(session: Session, actor: Actor, number: str) -> PurchaseCertificate:
    """A certificate the actor may see. Raises NotFound."""
    found = session.scalar(certificates_visible_to(actor).where(PurchaseCertificate.public_no == number))
    if found is None:
        raise NotFound
    return found


def certified_lines(certificate: PurchaseCertificate) -> Select[CertifiedLine]:
    """The lines of a certificate with their orders, in the order they were bought."""
    return (
        select(CertifiedLine)
        .where(CertifiedLine.certificate_id == certificate.id)
        .order_by(CertifiedLine.line_id)
        .options(
            joinedload(CertifiedLine.line)
            .joinedload(OrderLine.part)
            .options(joinedload(OrderPart.order).lazyload(Order.parts))
        )
    )


def valid_certificates_of(session: Session, line_ids: Collection[int]) -> list[PurchaseCertificate]:
    """The certificates that stand for any of these lines and were not withdrawn, by id."""
    lines = select(CertifiedLine.certificate_id).where(CertifiedLine.line_id.in_(line_ids))
    query = (
        select(PurchaseCertificate).where(PurchaseCertificate.id.in_(lines)).order_by(PurchaseCertificate.id)
    )
    return [
        one for one in session.scalars(query.execution_options(populate_existing=True)) if not one.withdrawal
    ]


def is_withdrawn() -> ColumnElement[bool]:
    """Whether a PurchaseCertificate was withdrawn."""
    return exists().where(CertificateWithdrawal.certificate_id == PurchaseCertificate.id)


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Certificates of the unit that a refund withdrew and no later one replaced, for who issues them."""
    if actor.buyer_unit_id is None or not actor.can(Permission.CERTIFY_PURCHASES):
        return []
    later = aliased(CertifiedLine)
    waiting = (
        select(func.count(PurchaseCertificate.id.distinct()))
        .join(CertifiedLine, CertifiedLine.certificate_id == PurchaseCertificate.id)
        .join(OrderLine, OrderLine.id == CertifiedLine.line_id)
        .outerjoin(refunded := refunded_by_line(), refunded.c.line_id == OrderLine.id)
        .where(
            PurchaseCertificate.buyer_unit_id == actor.buyer_unit_id,
            is_withdrawn(),
            OrderLine.net_fen > func.coalesce(refunded.c.refunded_fen, 0),
            ~exists().where(
                later.replaces_id == PurchaseCertificate.id, later.line_id == CertifiedLine.line_id
            ),
        )
    )
    count = session.scalar(waiting) or 0
    return (
        [Task(NN_("%(count)s 张采购凭证已作废，可以重新开具"), count, "purchase_certificates.index")]
        if count
        else []
    )


# --- the public check ---


@dataclass(frozen=True)
class CertificateCheck:
    """What anybody holding a certificate may know. Names neither the unit nor a household; `households` is None when
    there are too few of them to be told."""

    number: str
    fingerprint: str
    issued_at: datetime
    since_on: date
    until_on: date
    kind: OrderKind
    unit_kind: UnitKind
    county_name: str
    net_fen: int
    households: int | None
    by_attribution: Mapping[Attribution, int]
    is_intact: bool
    withdrawn_at: datetime | None


def check_of(session: Session, token: str) -> CertificateCheck:
    """The public check of the certificate under a token. Raises NotFound for any other token."""
    found = session.scalar(select(PurchaseCertificate).where(PurchaseCertificate.token == token))
    if found is None:
        raise NotFound
    figures = found.figures
    few = figures["households"] < FEWEST_SHOWN
    county = session.get_one(Region, found.buyer_unit.county_code)
    return CertificateCheck(
        number=found.public_no,
        fingerprint=found.content_hash[:HASH_SHOWN],
        issued_at=found.issued_at,
        since_on=found.since_on,
        until_on=found.until_on,
        kind=found.kind,
        unit_kind=found.buyer_unit.kind,
        county_name=county.name,
        net_fen=found.net_fen,
        households=None if few else figures["households"],
        by_attribution={}
        if few
        else {Attribution(key): fen for key, fen in figures["by_attribution"].items()},
        is_intact=content_hash(found) == found.content_hash,
        withdrawn_at=found.withdrawal.withdrawn_at if found.withdrawal else None,
    )
