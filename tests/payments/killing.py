"""Work in a process of its own, killed at a chosen step: both sides of the SIGKILL tests.

The process reads tasks from its input, a JSON object a line, and runs each in a child it forks: the parent kills that
child. The child writes a line for every step; at the step `stop_at` it stands still and waits to be killed. The first
task runs in the process itself, so that the children find its statements compiled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from marketplace.core.db import open_engine

TOP = Path(__file__).resolve().parents[2]


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


def serve_tasks(work: Callable[[dict[str, Any], Engine, Steps], None]) -> None:
    """In the process: run the first task here and each further one in a child, and say how it ended."""
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


class Worker:
    """In the test: the process beside it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def do(self, task: dict[str, Any]) -> tuple[int, int]:
        """Do a task, killed at its `stop_at`; returns the steps taken and the exit status (-9 when killed)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(task), file=self.process.stdin, flush=True)
        steps = 0
        for line in self.process.stdout:
            word, number, pid = line.split()
            if word == "end":
                return steps, int(number)
            steps = int(number)
            if word == "stop":
                os.kill(int(pid), signal.SIGKILL)
        raise AssertionError("the process is gone")


@contextmanager
def worker(module: str) -> Iterator[Worker]:
    """The process that `python -m module` starts, imports done; it ends with its input."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(
        command, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()
