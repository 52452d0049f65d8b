"""The transfers of the SIGKILL test, in a process of their own: plan, send, take back.

Started as `python -m tests.payments.collecting_process`, it reads tasks from its input, a JSON object a line, and runs
each in a child it forks: the parent kills that child. The child writes a line for every step (each statement before and
after it, each commit before and after it, each call of the provider before and after it); at the step `stop_at` it
stands still and waits to be killed. The first task runs in the process itself, so that the children find its statements
compiled.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

from marketplace.core.db import open_engine, session_maker
from marketplace.payments.collecting.planning import plan_transfers
from marketplace.payments.collecting.sending import send_transfers
from marketplace.payments.gateways.connect import MoneyMoved, TransferRequest
from marketplace.payments.gateways.stripe_connect import StripeCollector
from tests.payments.payout_process import Steps
from tests.payments.stripe_world import API_KEY


class Counted(StripeCollector):
    """The provider, with a step before each call and one after it, before the answer is kept."""

    def __init__(self, base_url: str, step: Callable[[], None]) -> None:
        super().__init__(API_KEY, api_base=base_url, retries=0)
        self._step = step

    def send_transfer(self, request: TransferRequest) -> MoneyMoved:
        """A transfer between two steps."""
        self._step()
        moved = super().send_transfer(request)
        self._step()
        return moved

    def reverse_transfer(
        self, transfer_ref: str, amount_fen: int, *, reference: str, idempotency_key: str
    ) -> MoneyMoved:
        """A reversal between two steps."""
        self._step()
        moved = super().reverse_transfer(
            transfer_ref, amount_fen, reference=reference, idempotency_key=idempotency_key
        )
        self._step()
        return moved


def work(task: dict[str, Any], engine: Engine, step: Steps) -> None:
    """Both jobs until nothing is left, going on where an earlier run was cut off."""
    with session_maker(engine)() as session:
        event.listen(session, "after_commit", step)
        collector = Counted(task["stripe"], step)
        while True:
            planned = plan_transfers(session)
            session.commit()
            sent = send_transfers(session, collector)
            session.commit()
            if not planned and not sent:
                break
    engine.dispose()


def main() -> None:
    """Run the first task here and each further one in a child, and say how it ended."""
    step = Steps()
    engine: Engine | None = None
    for line in sys.stdin:
        task = json.loads(line)
        step.count, step.stop_at = 0, task["stop_at"]
        if engine is None:
            engine = open_engine(task["url"], pool_size=1)
            for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
                event.listen(engine, name, step)
            work(task, engine, step)
            os.write(1, b"end 0 0\n")
            continue
        child = os.fork()
        if child == 0:
            work(task, engine, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"end {os.waitstatus_to_exitcode(status)} {child}\n".encode())


if __name__ == "__main__":
    main()
