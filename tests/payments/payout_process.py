"""The payout process of the SIGKILL test, in a process of its own: prepare, approve, send, import, take.

Its steps are each statement before and after it and each commit before and after it; see killing.py.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.crypto import DataKey
from marketplace.core.db import session_maker
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import User
from marketplace.payments.payouts.models import BatchState, PayoutBatch
from marketplace.payments.payouts.results import import_result, take_result
from marketplace.payments.payouts.rules import approve_batch, open_bank_file, prepare_batch, send_batch
from tests.payments.killing import Steps, serve_tasks


def result_file(bank_file: bytes) -> bytes:
    """The bank's answer to a file: every payout is paid. The same file always gets the same answer."""
    lines = list(csv.DictReader(io.StringIO(bank_file.decode("utf-8-sig"))))
    rows = [f"{line['发放编号']},{line['金额（元）']},成功" for line in lines]
    return "\n".join(("发放编号,金额,结果", *rows)).encode()


def pay(task: dict[str, Any], engine: Engine, step: Steps) -> None:
    """Pay what is due, each stage in a transaction of its own, going on where an earlier run was cut off."""
    key = DataKey.from_hex(task["data_key"])
    files = FileStore(Path(task["files"]), key)
    with session_maker(engine)() as session:
        event.listen(session, "after_commit", step)
        clerk, manager = (actor_of(session.get_one(User, task[name])) for name in ("clerk", "manager"))
        batch = prepare_batch(
            session, clerk, up_to_on=today(), layout_code="generic_csv", idempotency_key=task["key"]
        )
        session.commit()
        if batch.state is BatchState.PREPARED:
            approve_batch(session, manager, batch)
            session.commit()
        send_batch(session, key, files, batch)
        session.commit()
        take(session, clerk, files, batch)
    engine.dispose()


def take(session: Session, clerk: Actor, files: FileStore, batch: PayoutBatch) -> None:
    """Take what the bank answers."""
    content = open_bank_file(session, clerk, files, batch)
    session.commit()
    result = import_result(session, clerk, files, batch, content=result_file(content), file_name="result.csv")
    session.commit()
    take_result(session, clerk, files, result)
    session.commit()


if __name__ == "__main__":
    serve_tasks(pay)
