"""The payout process killed with SIGKILL at random points, and run again: each household is paid exactly once."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.files import FileStore
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind, Transfer
from marketplace.ledger.queries import balances
from marketplace.ledger.verify import CHECKS as LEDGER_CHECKS
from marketplace.payments.payouts.models import BatchState, Payout, PayoutBatch, PayoutState
from marketplace.payments.payouts.verify import CHECKS
from tests.conftest import KEY
from tests.payments.killing import Worker, worker
from tests.payments.payout_world import PayoutWorld, world

SEED = 20_261_123
KILLS = 20
AMOUNTS = tuple(1_000 + 37 * number for number in range(12))


class PayoutProcess:
    """The process beside the test. `run` returns the steps it took, and kills it at `stop_at`."""

    def __init__(self, beside: Worker, url: str, files: FileStore) -> None:
        self.beside, self.url, self.files = beside, url, files

    def run(self, made: PayoutWorld, key: str, *, stop_at: int = 0) -> tuple[int, int]:
        """Pay what is due under `key`; returns the steps taken and the exit status (-9 when killed)."""
        task = {
            "url": self.url,
            "files": str(self.files.root),
            "data_key": KEY,
            "clerk": made.clerk.user_id,
            "manager": made.manager.user_id,
            "key": key,
            "stop_at": stop_at,
        }
        return self.beside.do(task)


@contextmanager
def running(url: str, files: FileStore) -> Iterator[PayoutProcess]:
    """The process, imports done."""
    with worker("tests.payments.payout_process") as beside:
        yield PayoutProcess(beside, url, files)


def credit_all(made: PayoutWorld) -> None:
    """Give each household its amount once more."""
    for household, amount_fen in zip(made.households, AMOUNTS, strict=True):
        made.credit(household, amount_fen)
    made.session.commit()


def confirmed(session: Session, key: str) -> dict[int, list[int]]:
    """Per household, what the payouts prepared under `key` were confirmed for in the ledger, each posting by itself."""
    query = (
        select(Payout.household_id, Transfer.amount_fen)
        .join(PayoutBatch, PayoutBatch.id == Payout.batch_id)
        .join(Entry, Entry.subject_id == Payout.id)
        .join(Transfer, Transfer.entry_id == Entry.id)
        .where(
            Entry.subject_kind == "payout",
            Entry.kind == EntryKind.PAYOUT_CONFIRMED,
            PayoutBatch.idempotency_key == key,
        )
    )
    found: dict[int, list[int]] = {}
    for household_id, amount_fen in session.execute(query):
        found.setdefault(household_id, []).append(amount_fen)
    return found


def assert_paid_once(made: PayoutWorld, key: str, *, rounds: int) -> None:
    """Each household got its amount of this round once, and nothing is under way or left."""
    session = made.session
    session.expire_all()
    ids = [household.id for household in made.households]
    assert confirmed(session, key) == {
        one: [amount_fen] for one, amount_fen in zip(ids, AMOUNTS, strict=True)
    }
    batch = session.scalars(select(PayoutBatch).where(PayoutBatch.idempotency_key == key)).one()
    assert (batch.state, {payout.state for payout in made.payouts(batch)}) == (
        BatchState.FINISHED,
        {PayoutState.PAID},
    )
    keys = [AccountKey.household_payable(made.cooperative.id, one) for one in ids]
    assert set(balances(session, keys).values()) == {0}
    assert (made.clearing(), made.bank()) == (0, -rounds * sum(AMOUNTS))
    assert session.scalar(select(func.count()).select_from(PayoutBatch)) == rounds
    session.commit()


@pytest.mark.timeout(300)  # some twenty processes' worth of runs, each with its own commits
def test_a_killed_payout_run_pays_each_household_exactly_once(
    session: Session, database_url: str, files: FileStore
) -> None:
    """A run to count its steps, then twenty killed at a random step each, and run again to the end."""
    made = world(session, AMOUNTS)
    session.commit()
    with running(database_url, files) as process:
        assert process.run(made, "the-first-opens-accounts")[1] == 0
        assert_paid_once(made, "the-first-opens-accounts", rounds=1)
        credit_all(made)
        steps, status = process.run(made, "a-run-that-nobody-kills")
        assert (status, steps > 40) == (0, True)
        assert_paid_once(made, "a-run-that-nobody-kills", rounds=2)
        points = random.Random(SEED).sample(range(1, steps + 1), KILLS)
        for rounds, point in enumerate(points, 3):
            key = f"a-run-killed-at-{point:04d}"
            credit_all(made)
            assert process.run(made, key, stop_at=point) == (point, -signal.SIGKILL)
            assert process.run(made, key)[1] == 0
            assert_paid_once(made, key, rounds=rounds)
    checks = run_checks(session, (*LEDGER_CHECKS, *CHECKS))
    assert [str(finding) for result in checks for finding in result.findings] == []
