"""Households with money to be paid out: credited by postings of their own, with accounts, prepared and approved.

`world(session)` is a cooperative with households that were credited; its manager and clerk are two people.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import EntryDraft, TransferDraft, post_entry
from marketplace.ledger.queries import balance
from marketplace.payments.payouts.account_numbers import make_account_number
from marketplace.payments.payouts.account_rules import record_account
from marketplace.payments.payouts.models import HouseholdBankAccount, Payout, PayoutBatch, PayoutResult
from marketplace.payments.payouts.queries import payouts_of
from marketplace.payments.payouts.results import import_result, take_result
from marketplace.payments.payouts.rules import approve_batch, prepare_batch, send_batch
from marketplace.registry.models import Cooperative, Household
from tests.factories.registry import KEY, CooperativeFactory, EnrolmentFactory, HouseholdFactory, actor_at

_serial = count(1)
HEADER = "发放编号,金额,结果,原因"


@dataclass
class PayoutWorld:
    """A cooperative, its two people, and its households in the order they were made."""

    session: Session
    cooperative: Cooperative
    manager: Actor
    clerk: Actor
    households: list[Household] = field(default_factory=list)

    def credit(
        self, household: Household, amount_fen: int, *, cooperative: Cooperative | None = None
    ) -> None:
        """Money of the cooperative's sales, credited now."""
        owner = (cooperative or self.cooperative).id
        self.move(
            AccountKey.cooperative_payable(owner),
            AccountKey.household_payable(owner, household.id),
            amount_fen,
        )

    def take_back(self, household: Household, amount_fen: int) -> None:
        """What a refund reverses."""
        owner = self.cooperative.id
        self.move(
            AccountKey.household_payable(owner, household.id),
            AccountKey.cooperative_payable(owner),
            amount_fen,
        )

    def move(self, debit: AccountKey, credit: AccountKey, amount_fen: int) -> None:
        """One posting about nothing in particular."""
        number = next(_serial)
        post_entry(
            self.session,
            EntryDraft(
                kind=EntryKind.LINE_SETTLED,
                idempotency_key=f"test:{number}",
                occurred_at=now(),
                transfers=(TransferDraft(debit, credit, amount_fen),),
                subject=("order_line", number),
                cooperative_id=debit.cooperative_id,
            ),
        )

    def account(self, household: Household, number: str = "") -> HouseholdBankAccount:
        """An account in the head's name."""
        return record_account(
            self.session,
            self.clerk,
            KEY,
            household,
            account_number=number or make_account_number(next(_serial)),
            holder_name=household.head_name,
            bank_name="江西农商银行乐安支行",
            valid_from=today(),
        )

    def prepare(self, *, key: str = "", minimum_fen: int = 1_000, layout: str = "generic_csv") -> PayoutBatch:
        """A batch the clerk prepared today."""
        return prepare_batch(
            self.session,
            self.clerk,
            minimum_fen=minimum_fen,
            up_to_on=today(),
            layout_code=layout,
            idempotency_key=key or f"a-batch-of-payouts-{next(_serial)}",
        )

    def sent(self, files: FileStore, *, layout: str = "generic_csv") -> PayoutBatch:
        """A batch prepared, approved by the manager, with its file."""
        batch = approve_batch(self.session, self.manager, self.prepare(layout=layout))
        return send_batch(self.session, KEY, files, batch)

    def answer(self, files: FileStore, batch: PayoutBatch, *rows: str) -> PayoutResult:
        """A result file of these rows, taken."""
        return take_result(self.session, self.clerk, files, self.bring(files, batch, *rows))

    def bring(self, files: FileStore, batch: PayoutBatch, *rows: str) -> PayoutResult:
        """A result file of these rows, not taken yet."""
        content = "\n".join((HEADER, *rows)).encode()
        return import_result(self.session, self.clerk, files, batch, content=content, file_name="回盘.csv")

    def payouts(self, batch: PayoutBatch) -> list[Payout]:
        """The payouts of a batch in the order of its file."""
        return list(self.session.scalars(payouts_of(batch)))

    def payable(self, household: Household) -> int:
        """What the household has, in fen."""
        return balance(self.session, AccountKey.household_payable(self.cooperative.id, household.id))

    def clearing(self) -> int:
        """What is under way, in fen."""
        return balance(self.session, AccountKey.payout_clearing(self.cooperative.id))

    def bank(self) -> int:
        """The bank account, in fen; what left it counts down."""
        return balance(self.session, AccountKey.bank())


def world(
    session: Session, amounts: Sequence[int] = (5_000, 7_000, 9_000), *, accounts: bool = True
) -> PayoutWorld:
    """A cooperative whose households were credited `amounts`, with accounts unless said otherwise."""
    cooperative = CooperativeFactory()
    made = PayoutWorld(
        session, cooperative, actor_at(cooperative), actor_at(cooperative, Role.COOPERATIVE_CLERK)
    )
    for amount_fen in amounts:
        household = HouseholdFactory()
        EnrolmentFactory(cooperative=cooperative, household=household)
        made.households.append(household)
        if amount_fen:
            made.credit(household, amount_fen)
        if accounts:
            made.account(household)
    return made


def row(payout: Payout, result: str = "成功", reason: str = "", *, amount: str = "") -> str:
    """A row of a result file."""
    yuan = amount or f"{payout.amount_fen // 100}.{payout.amount_fen % 100:02d}"
    return f"{payout.public_no},{yuan},{result},{reason}"


def upload(text: str, name: str = "回盘.csv") -> Mapping[str, object]:
    """The form data of an uploaded sheet."""
    return {"file": (io.BytesIO(text.encode()), name)}
