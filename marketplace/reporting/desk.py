"""Each role's desk: what waits today, collected from the rooms that know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit import queries as audit
from marketplace.catalog import queries as catalog
from marketplace.catalog.certificates import queries as certificates
from marketplace.catalog.listings import queries as listings
from marketplace.catalog.prices import policies as price_policies, queries as prices
from marketplace.catalog.recognition import queries as recognition
from marketplace.core.clock import today
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balance
from marketplace.linkage import queries as linkage
from marketplace.linkage.models import Entitlement
from marketplace.ordering import queries as ordering
from marketplace.ordering.models import OrderLine, OrderPart
from marketplace.ordering.states import PartState
from marketplace.payments import queries as payments
from marketplace.payments.closing import queries as closing, unallocated
from marketplace.payments.collecting import queries as collecting
from marketplace.payments.corrections import queries as corrections
from marketplace.payments.deposits import queries as deposits
from marketplace.payments.disputes import queries as payment_disputes
from marketplace.payments.invoices import queries as invoices
from marketplace.payments.late_interest import queries as late_interest
from marketplace.payments.models import Credit, Payment, PaymentMethod, PaymentState, Settlement
from marketplace.payments.payouts import queries as payouts
from marketplace.payments.purchase_certificates import queries as purchase_certificates
from marketplace.payments.reconciliation import queries as reconciliation
from marketplace.payments.refunds import queries as refunds
from marketplace.payments.vouchers import queries as vouchers
from marketplace.procurement import queries as procurement
from marketplace.procurement.evaluations import queries as evaluations
from marketplace.procurement.forward import queries as forward
from marketplace.procurement.group_purchases import queries as group_purchases
from marketplace.procurement.quota import queries as quota
from marketplace.procurement.receiving import queries as receiving
from marketplace.procurement.requests import queries as requests
from marketplace.procurement.standing import queries as standing
from marketplace.registry import queries as registry
from marketplace.registry.buyer_units import queries as buyer_units
from marketplace.registry.cooperatives import queries as cooperatives
from marketplace.registry.reviews import queries as reviews
from marketplace.registry.roster import queries as rosters
from marketplace.reporting import income
from marketplace.reporting.quota import progress as quota_progress
from marketplace.reporting.quota.counting import NET_FEN, REFUNDED
from marketplace.web.tasks import Task

TASK_SOURCES: tuple[Callable[[Session, Actor], list[Task]], ...] = (
    procurement.tasks_of,
    standing.tasks_of,
    requests.tasks_of,
    quota.tasks_of,
    quota_progress.tasks_of,
    receiving.tasks_of,
    forward.tasks_of,
    deposits.tasks_of,
    vouchers.tasks_of,
    group_purchases.tasks_of,
    ordering.tasks_of,
    payments.tasks_of,
    reconciliation.tasks_of,
    payment_disputes.tasks_of,
    collecting.tasks_of,
    evaluations.tasks_of,
    purchase_certificates.tasks_of,
    late_interest.tasks_of,
    invoices.tasks_of,
    closing.tasks_of,
    unallocated.tasks_of,
    refunds.tasks_of,
    corrections.tasks_of,
    payouts.tasks_of,
    registry.tasks_of,
    rosters.tasks_of,
    cooperatives.tasks_of,
    reviews.tasks_of,
    buyer_units.tasks_of,
    linkage.tasks_of,
    catalog.tasks_of,
    certificates.tasks_of,
    prices.tasks_of,
    price_policies.tasks_of,
    recognition.tasks_of,
    listings.tasks_of,
    audit.tasks_of,
)


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Everything that waits for the actor, in the order of TASK_SOURCES."""
    return [task for source in TASK_SOURCES for task in source(session, actor) if task.count]


@dataclass(frozen=True)
class Figure:
    """One number on a desk: money in fen, or a count."""

    label: str
    value: int
    is_money: bool = True


def figures_of(session: Session, actor: Actor) -> list[Figure]:
    """The few numbers a cooperative, a unit or a household starts the day with; none for anybody else."""
    if actor.cooperative_id is not None:
        return _cooperative_figures(session, actor.cooperative_id)
    if actor.buyer_unit_id is not None:
        return _unit_figures(session, actor)
    household = registry.household_of(session, actor) if actor.can(Permission.READ_OWN_INCOME) else None
    return [] if household is None else _household_figures(session, household.id)


def _household_figures(session: Session, household_id: int) -> list[Figure]:
    months, year = income.months_of(session, household_id), today().year
    this_year = sum(month.amount_fen for month in months if month.year == year)
    return [
        Figure(N_("今年入账"), this_year),
        Figure(N_("累计入账"), sum(month.amount_fen for month in months)),
    ]


def _cooperative_figures(session: Session, cooperative_id: int) -> list[Figure]:
    settled = session.scalar(
        select(func.coalesce(func.sum(Settlement.net_fen), 0)).where(
            Settlement.cooperative_id == cooperative_id
        )
    )
    credited, households = session.execute(
        select(
            func.coalesce(func.sum(Credit.amount_fen), 0), func.count(Credit.household_id.distinct())
        ).where(Credit.cooperative_id == cooperative_id)
    ).one()
    standing = int(credited) + refunds.changed_fen(session, cooperative_id)
    entitled = session.scalar(
        select(func.coalesce(func.sum(Entitlement.amount_fen), 0)).where(
            Entitlement.cooperative_id == cooperative_id
        )
    )
    return [
        Figure(N_("已结算货款"), int(settled or 0)),
        Figure(N_("已入账到户"), standing),
        Figure(N_("待分配联结资金"), balance(session, AccountKey.unallocated(cooperative_id))),
        Figure(N_("凭据应得合计"), int(entitled or 0)),
        Figure(N_("有入账的农户"), int(households), is_money=False),
    ]


def _unit_figures(session: Session, actor: Actor) -> list[Figure]:
    visible = ordering.parts_visible_to(actor).order_by(None).with_only_columns(OrderPart.id)
    accepted = session.scalar(
        select(func.coalesce(func.sum(NET_FEN), 0))
        .select_from(OrderLine)
        .join(OrderPart, OrderPart.id == OrderLine.part_id)
        .outerjoin(REFUNDED, REFUNDED.c.line_id == OrderLine.id)
        .where(OrderPart.id.in_(visible), OrderPart.state == PartState.ACCEPTED)
    )
    payable = session.scalar(
        select(func.coalesce(func.sum(Payment.amount_fen), 0)).where(
            Payment.part_id.in_(visible),
            Payment.method == PaymentMethod.BANK_TRANSFER,
            Payment.state == PaymentState.OPEN,
        )
    )
    return [Figure(N_("已验收货款"), int(accepted or 0)), Figure(N_("待付货款"), int(payable or 0))]
