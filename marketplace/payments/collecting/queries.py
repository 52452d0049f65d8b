"""Reading cooperatives' accounts and the transfers to them, for the cooperative and for the cashier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload, selectinload

from marketplace.core.errors import NotFound
from marketplace.core.labels import N_, NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.models import OrderPart
from marketplace.payments.collecting.models import (
    CooperativeTransfer,
    ProviderAccount,
    ReversalState,
    TransferReversal,
    TransferState,
    TransferWithholding,
)
from marketplace.payments.collecting.planning import open_claims
from marketplace.payments.collecting.standing import due_by_cooperative
from marketplace.payments.gateways.connect import AccountStatus
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.web.tasks import Task

WANTED_WORDS = (  # beginnings of the provider's codes, in the order they are told
    ("external_account", N_("收款银行账户")),
    ("company", N_("单位信息")),
    ("business", N_("经营信息")),
    ("representative", N_("代表人信息")),
    ("person", N_("代表人信息")),
    ("individual", N_("代表人信息")),
    ("owners", N_("受益人信息")),
    ("directors", N_("负责人信息")),
    ("documents", N_("证明文件")),
    ("tos_acceptance", N_("同意服务协议")),
)
OTHER_WANTED = N_("其他资料")
REFUSALS = {
    "balance_insufficient": N_("通道余额不足"),
    "insufficient_capabilities_for_transfer": N_("收款账户暂不能收款"),
    "resource_missing": N_("通道找不到收款账户"),
}
OTHER_REFUSAL = N_("通道没有接受")


@dataclass(frozen=True)
class MoneyOfCooperative:
    """What transfers did for a cooperative so far, in fen: sent, taken back, on its way, and still to come."""

    due_fen: int = 0
    planned_fen: int = 0
    sent_fen: int = 0
    back_fen: int = 0
    claimed_fen: int = 0

    @property
    def standing_fen(self) -> int:
        """What is with the cooperative: sent and not taken back."""
        return self.sent_fen - self.back_fen


def accounts(status: AccountStatus | None, *, without: bool = False, text: str = "") -> Select:  # type: ignore[type-arg]
    """(cooperative, account or None) of every admitted cooperative, by name; of one status, or `without` an account;
    with `text` in the name."""
    query = (
        select(Cooperative, ProviderAccount)
        .outerjoin(ProviderAccount, ProviderAccount.cooperative_id == Cooperative.id)
        .where(or_(Cooperative.state == CooperativeState.ADMITTED, ProviderAccount.id.is_not(None)))
        .order_by(Cooperative.name, Cooperative.id)
    )
    if without:
        query = query.where(ProviderAccount.id.is_(None))
    elif status is not None:
        query = query.where(ProviderAccount.status == status)
    return query.where(Cooperative.name.contains(text, autoescape=True)) if text else query


def counts_of_accounts(session: Session) -> dict[AccountStatus | None, int]:
    """How many admitted cooperatives have an account of each status, and under None how many have none."""
    query = (
        select(ProviderAccount.status, func.count())
        .select_from(Cooperative)
        .outerjoin(ProviderAccount, ProviderAccount.cooperative_id == Cooperative.id)
        .where(or_(Cooperative.state == CooperativeState.ADMITTED, ProviderAccount.id.is_not(None)))
        .group_by(ProviderAccount.status)
    )
    return {status: int(count) for status, count in session.execute(query)}


def money_of(session: Session, cooperative_ids: Sequence[int]) -> dict[int, MoneyOfCooperative]:
    """What transfers did for each of these cooperatives, in a fixed number of statements."""
    due = due_by_cooperative(session, cooperative_ids)
    sent = _sums(
        session, CooperativeTransfer, cooperative_ids, CooperativeTransfer.state == TransferState.DONE
    )
    planned = _sums(
        session, CooperativeTransfer, cooperative_ids, CooperativeTransfer.state == TransferState.PLANNED
    )
    back = _sums(session, TransferReversal, cooperative_ids, TransferReversal.state == ReversalState.DONE)
    claims: dict[int, int] = {}
    for reversal, kept_fen in session.execute(
        open_claims().where(TransferReversal.cooperative_id.in_(cooperative_ids))
    ):
        owner = reversal.cooperative_id
        claims[owner] = claims.get(owner, 0) + reversal.amount_fen - int(kept_fen)
    return {
        one: MoneyOfCooperative(
            due.get(one, 0), planned.get(one, 0), sent.get(one, 0), back.get(one, 0), claims.get(one, 0)
        )
        for one in cooperative_ids
    }


def _sums(
    session: Session,
    model: type[CooperativeTransfer | TransferReversal],
    cooperative_ids: Sequence[int],
    condition: ColumnElement[bool],
) -> dict[int, int]:
    query = (
        select(model.cooperative_id, func.sum(model.amount_fen))
        .where(model.cooperative_id.in_(cooperative_ids), condition)
        .group_by(model.cooperative_id)
    )
    return {owner: int(fen) for owner, fen in session.execute(query)}


def transfers(*, cooperative_id: int | None = None, state: TransferState | None = None) -> Select:  # type: ignore[type-arg]
    """Transfers, the latest first, with their order and reversals."""
    query = (
        select(CooperativeTransfer)
        .options(
            joinedload(CooperativeTransfer.part).options(
                lazyload(OrderPart.lines), joinedload(OrderPart.order)
            ),
            joinedload(CooperativeTransfer.cooperative),
            selectinload(CooperativeTransfer.reversals),
        )
        .order_by(CooperativeTransfer.id.desc())
    )
    if cooperative_id is not None:
        query = query.where(CooperativeTransfer.cooperative_id == cooperative_id)
    return query if state is None else query.where(CooperativeTransfer.state == state)


def counts_of_transfers(session: Session) -> dict[TransferState, int]:
    """How many transfers there are of each state."""
    query = select(CooperativeTransfer.state, func.count()).group_by(CooperativeTransfer.state)
    return {state: int(count) for state, count in session.execute(query)}


def withheld_so_far(session: Session, reversals: Sequence[TransferReversal]) -> dict[int, int]:
    """What transfers kept for each of these reversals, by its id."""
    query = (
        select(TransferWithholding.reversal_id, func.max(TransferWithholding.after_fen))
        .where(TransferWithholding.reversal_id.in_([one.id for one in reversals]))
        .group_by(TransferWithholding.reversal_id)
    )
    return {key: int(fen) for key, fen in session.execute(query)}


def refused_reversals() -> Select:  # type: ignore[type-arg]
    """Reversals that were refused, the latest first."""
    return (
        select(TransferReversal)
        .where(TransferReversal.state == ReversalState.REFUSED)
        .options(
            joinedload(TransferReversal.cooperative),
            joinedload(TransferReversal.transfer)
            .joinedload(CooperativeTransfer.part)
            .options(lazyload(OrderPart.lines), joinedload(OrderPart.order)),
        )
        .order_by(TransferReversal.id.desc())
    )


def cooperative_by_no(session: Session, number: str) -> Cooperative:
    """A cooperative. Raises NotFound."""
    found = session.scalar(select(Cooperative).where(Cooperative.public_no == number))
    if found is None:
        raise NotFound
    return found


def wanted_words(codes: Sequence[str]) -> list[str]:
    """What the provider wants, as messages to be translated, each once."""
    found: dict[str, None] = {}
    for code in codes:
        words = (word for beginning, word in WANTED_WORDS if code.startswith(beginning))
        found.setdefault(next(words, OTHER_WANTED))
    return list(found)


def refusal_words(code: str) -> str:
    """Why the provider refused, as a message to be translated."""
    return REFUSALS.get(code, OTHER_REFUSAL)


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """An account that wants details from its cooperative; transfers that the provider refused, for the cashier."""
    tasks = []
    if actor.can(Permission.MANAGE_COOPERATIVE) and actor.cooperative_id is not None:
        waits = select(func.count()).where(
            ProviderAccount.cooperative_id == actor.cooperative_id,
            ProviderAccount.status.in_(
                (AccountStatus.OPENING, AccountStatus.DETAILS_WANTED, AccountStatus.RESTRICTED)
            ),
        )
        count = session.scalar(waits) or 0
        tasks.append(Task(NN_("%(count)s 个收款账户要补资料"), count, "receiving_account.own"))
    if actor.can(Permission.MATCH_BANK_LINES):
        refused = select(func.count()).where(
            CooperativeTransfer.state == TransferState.PLANNED, CooperativeTransfer.failure != ""
        )
        count = session.scalar(refused) or 0
        tasks.append(Task(NN_("%(count)s 笔划付被通道退回"), count, "transfers.index", {"state": "planned"}))
    return [task for task in tasks if task.count]
