"""A union that buys vouchers of a cooperative, and what its people do with them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core.clock import today
from marketplace.core.crypto import DataKey
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.queries import balance
from marketplace.ordering.models import Order
from marketplace.payments.statements import import_statement
from marketplace.payments.vouchers.counter import redeem_voucher
from marketplace.payments.vouchers.models import Voucher, VoucherBatch, VoucherSpend
from marketplace.payments.vouchers.rules import Terms, approve_batch, ask_batch, print_vouchers
from marketplace.payments.vouchers.spending import spend_vouchers
from tests.factories.identity import official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import Offer, offer

FACE_FEN = 12_000
DAYS_GOOD = 60


class Union:
    """A unit whose union buys vouchers of a cooperative with an offer at 50.00 yuan."""

    def __init__(
        self, session: Session, files: FileStore, key: DataKey, offered: Offer | None = None
    ) -> None:
        self.session, self.files, self.key = session, files, key
        self.offered = offered or offer(session, CooperativeFactory())
        self.unit = BuyerUnitFactory()
        self.orderer, self.approver = (
            actor_at(self.unit, role) for role in (Role.UNIT_ORDERER, Role.UNIT_APPROVER)
        )
        self.clerk = actor_at(self.offered.cooperative, Role.COOPERATIVE_CLERK)
        self.cashier = actor_of(official_with(Role.OPERATOR))

    def asked(self, *, count: int = 3, face_fen: int = FACE_FEN, days: int = DAYS_GOOD) -> VoucherBatch:
        terms = Terms(count, face_fen, today() + timedelta(days=days))
        return ask_batch(
            self.session,
            self.orderer,
            cooperative=self.offered.cooperative,
            terms=terms,
            idempotency_key=f"a-batch-of-vouchers-{self.unit.id}",
        )

    def transfer(self, batch: VoucherBatch, yuan: str, *, serial: str = "", remark: str = "") -> None:
        serial = serial or f"VB-{self.unit.id}"
        head = "交易流水号,交易日期,收入金额,对方户名,附言"
        line = f"{serial},{today():%Y-%m-%d},{yuan},乐安县第一小学,{remark or batch.remittance_code}"
        import_statement(
            self.session,
            self.cashier,
            self.files,
            content=f"{head}\n{line}\n".encode(),
            file_name=f"{serial}.csv",
        )

    def printed(self) -> tuple[VoucherBatch, list[str]]:
        batch = approve_batch(self.session, self.approver, self.asked())
        self.transfer(batch, "360.00")
        return batch, print_vouchers(self.session, self.orderer, batch, self.key)

    def redeem(self, code: str, units: int = 2) -> Voucher:
        return redeem_voucher(
            self.session, self.clerk, code=code, key=self.key, listing=self.offered.listing, quantity=units
        )

    def spend(self, buyer: Actor, order: Order, *codes: str) -> list[VoucherSpend]:
        return spend_vouchers(self.session, buyer, order, codes=codes, key=self.key)

    def held_fen(self) -> int:
        key = AccountKey.vouchers_held(self.offered.cooperative.id, self.unit.id)
        return balance(self.session, key)

    def findings(self) -> dict[str, object]:
        self.session.expire_all()
        return {one.check.name: one.findings for one in run_checks(self.session, CHECKS) if one.findings}
