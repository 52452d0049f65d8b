"""The payout process of the SIGKILL test, in a process of its own: prepare, approve, send, import, take.

Started as `python -m tests.payments.payout_process`, it reads tasks from its input, one JSON object a line, and runs
each in a child it forks: the parent kills that child. The child writes a line for every step (each statement before and
after it, each commit before and after it); at the step `stop_at` it stands still and waits to be killed. The first task
runs in the process itself, so that the children find its statements compiled.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.crypto import DataKey
from marketplace.core.db import open_engine, session_maker
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import User
from marketplace.payments.payouts.models import BatchState, PayoutBatch
from marketplace.payments.payouts.results import import_result, take_result
from marketplace.payments.payouts.rules import approve_batch, open_bank_file, prepare_batch, send_batch


class Steps:
    """Counts the steps aloud and stands still at one of them."""

    def __init__(self) -> None:
        self.stop_at = self.count = 0

    def __call__(self, *_: Any) -> None:
        """One step is reached."""
        self.count += 1
        is_last = self.count == self.stop_at
        os.write(1, f"{'stop' if is_last else 'step'} {self.count} {os.getpid()}\n".encode())
        while is_last:
            signal.pause()


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
            pay(task, engine, step)
            os.write(1, b"end 0 0\n")
            continue
        child = os.fork()
        if child == 0:
            pay(task, engine, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"end {os.waitstatus_to_exitcode(status)} {child}\n".encode())


if __name__ == "__main__":
    main()
