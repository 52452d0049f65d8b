"""Money reaches households: accounts, batches prepared by one and approved by another, what the bank answers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from itertools import count

from sqlalchemy import select

from marketplace.core import clock
from marketplace.demo.entry import Seller
from marketplace.demo.households import acknowledged
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.identity.actors import Actor, actor_of
from marketplace.payments.payouts.account_numbers import make_account_number
from marketplace.payments.payouts.account_rules import record_account
from marketplace.payments.payouts.models import Payout, PayoutBatch, PayoutState
from marketplace.payments.payouts.results import import_result, take_result
from marketplace.payments.payouts.rules import approve_batch, prepare_batch, send_batch
from marketplace.registry.models import Household

HEADER = ("发放编号", "金额", "结果", "原因")
CLOSED, MISNAMED = "账户已销户", "户名与账号不符"
BANKS = ("江西农商银行", "邮政储蓄银行", "农业银行")
WITHOUT_ACCOUNT = 11  # of so many households one has not brought its account number yet
ACCOUNTS_DAY = -40
OWN_DAYS, AGAIN_DAYS, COUNTY_DAYS = 42, 52, 72  # after the turn of the linkage year
MINIMUM_FEN = 500
GENERIC, ONE_CARD = "generic_csv", "one_card_fixed"


class PayDay:
    """The payouts of the first cooperative and of its county."""

    def __init__(self, world: World, sellers: Sequence[Seller]) -> None:
        self.world = world
        self.sellers = sellers
        self.first = sellers[0]
        self._serial = count(1)
        self._keys = count(1)

    def plan(self) -> None:
        """Plan accounts, a batch of the cooperative, the failed one again, one of the county, one that waits."""
        world, at = self.world, self.world.timeline.at
        at(at_hour(world.day(ACCOUNTS_DAY), 11), self.open_accounts)
        turn_on = world.turn_on
        at(at_hour(turn_on + timedelta(days=OWN_DAYS), 10), self.pay_own)
        at(at_hour(turn_on + timedelta(days=AGAIN_DAYS), 10), self.pay_again)
        at(at_hour(turn_on + timedelta(days=COUNTY_DAYS), 10), self.pay_county)
        at(at_hour(world.last_on, 16, 40), self.prepare_next)

    def open_accounts(self) -> None:
        """The clerks record where most households are paid to."""
        for seller in self.sellers:
            for place, household in enumerate(acknowledged(self.world, seller)):
                if place % WITHOUT_ACCOUNT != WITHOUT_ACCOUNT - 1:
                    self._record(seller, household)

    def _record(self, seller: Seller, household: Household) -> None:
        serial = next(self._serial)
        record_account(
            self.world.session,
            seller.clerking,
            self.world.tools.data_key,
            household,
            account_number=make_account_number(serial),
            holder_name=household.head_name,
            bank_name=BANKS[serial % len(BANKS)],
            valid_from=clock.today(),
        )

    def pay_own(self) -> None:
        """The cooperative pays its households; the account of one was closed."""
        batch = self._prepare(self.first.clerking, GENERIC)
        self._send(batch, self.first.acting)
        self._answer(batch, self.first.clerking, failing=CLOSED)

    def pay_again(self) -> None:
        """The household brought its new account, and is paid with what has come in since."""
        failed = select(Payout).where(Payout.state == PayoutState.FAILED).order_by(Payout.id)
        payout = self.world.session.scalars(failed).first()
        if payout is not None:
            self._record(self.first, self.world.session.get_one(Household, payout.household_id))
        batch = self._prepare(self.first.clerking, GENERIC)
        self._send(batch, self.first.acting)
        self._answer(batch, self.first.clerking)

    def pay_county(self) -> None:
        """The county pays the households of all its cooperatives; one account is in another's name."""
        code = self.first.county_code
        county, colleague = (
            actor_of(self.world.officials[code]),
            actor_of(self.world.colleagues[code]),
        )
        batch = self._prepare(county, ONE_CARD)
        self._send(batch, colleague)
        self._answer(batch, county, failing=MISNAMED)

    def prepare_next(self) -> PayoutBatch:
        """A batch that waits for the manager's approval."""
        return self._prepare(self.first.clerking, GENERIC)

    def _prepare(self, actor: Actor, layout: str) -> PayoutBatch:
        return prepare_batch(
            self.world.session,
            actor,
            minimum_fen=MINIMUM_FEN,
            up_to_on=clock.today() - timedelta(days=1),
            layout_code=layout,
            idempotency_key=f"demo-payout-{next(self._keys)}",
        )

    def _send(self, batch: PayoutBatch, approver: Actor) -> None:
        approve_batch(self.world.session, approver, batch)
        send_batch(self.world.session, self.world.tools.data_key, self.world.tools.files, batch)

    def _answer(self, batch: PayoutBatch, actor: Actor, *, failing: str = "") -> None:
        """What the bank says of each payout; the last one fails for the reason `failing`, if there is one."""
        files = self.world.tools.files
        sent = select(Payout).where(Payout.batch_id == batch.id, Payout.state == PayoutState.SENT)
        payouts = self.world.session.scalars(sent.order_by(Payout.id)).all()
        out = StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for payout in payouts:
            is_failing = failing and payout is payouts[-1]
            yuan = f"{payout.amount_fen // 100}.{payout.amount_fen % 100:02d}"
            answer = ("失败", failing) if is_failing else ("成功", "")
            writer.writerow([payout.public_no, yuan, *answer])
        name = f"发放结果-{clock.today():%Y%m%d}.csv"
        content = out.getvalue().encode("gb18030")
        result = import_result(self.world.session, actor, files, batch, content=content, file_name=name)
        take_result(self.world.session, actor, files, result)
