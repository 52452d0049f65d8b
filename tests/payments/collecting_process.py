"""The transfers of the SIGKILL test, in a process of their own: plan, send, take back.

Its steps are each statement before and after it, each commit before and after it, each call of the provider before and
after it; see killing.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

from marketplace.core.db import session_maker
from marketplace.payments.collecting.planning import plan_transfers
from marketplace.payments.collecting.sending import send_transfers
from marketplace.payments.gateways.connect import MoneyMoved, TransferRequest
from marketplace.payments.gateways.stripe_connect import StripeCollector
from tests.payments.killing import Steps, serve_tasks
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


if __name__ == "__main__":
    serve_tasks(work)
