"""Work that is not done while somebody waits: jobs, their worker, and how a request wakes them.

A job carries no data. Rules write rows (an order that is paid, a listing that changed), and a job is an idempotent
sweep over the rows that wait: run twice it does nothing the second time, and a lost wake-up is made good by the next
round. Each pass of a job is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from flask import Flask, current_app, g
from huey import Huey, MemoryHuey, PostgresHuey, SqliteHuey, crontab
from huey.api import TaskWrapper
from huey.consumer import Consumer
from sqlalchemy.orm import Session

from config import Settings
from marketplace.core import clock
from marketplace.core.waking import jobs_to_wake
from marketplace.web.transaction import runner

EXTENSION = "marketplace_jobs"
MAX_PASSES = 1_000
HEARTBEAT = "heartbeat"
NUDGED = "nudged "
STOP_SECONDS = 8
log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A sweep: `work(session)` does one bounded pass and returns True while more rows wait.

    `every_minutes` (1 to 60) is how often it runs when nobody nudges it.
    """

    name: str
    work: Callable[[Session], bool | None]
    every_minutes: int = 1


class Jobs:
    """The jobs of an app and the queue their runs wait in."""

    def __init__(self, app: Flask, table: Iterable[Job], queue: Huey) -> None:
        self.app = app
        self.table = {job.name: job for job in table}
        self.queue = queue
        self._rounds = {name: self._round_of(job) for name, job in self.table.items()}
        queue.on_startup(name=HEARTBEAT)(self.beat)
        queue.periodic_task(crontab(), name=HEARTBEAT)(self.beat)

    def _round_of(self, job: Job) -> TaskWrapper:
        def sweep() -> None:
            self.queue.delete(NUDGED + job.name)  # what is written from here on needs a nudge of its own
            try:
                self.run(job.name)
            except Exception:  # the next round tries again
                log.exception("job_failed", job=job.name)

        return self.queue.periodic_task(crontab(minute=f"*/{job.every_minutes}"), name=job.name)(sweep)

    def run(self, name: str) -> int:
        """Run a job now until nothing waits; return the passes it took. Raises what the job raises.

        Stops after MAX_PASSES, so that one job cannot keep the others waiting; the next round goes on.
        """
        job = self.table[name]
        for passes in range(1, MAX_PASSES + 1):
            with runner(self.app) as session:
                more = job.work(session)
            if not more:
                return passes
        return MAX_PASSES

    def wake(self, name: str) -> None:
        """Let a worker run the job soon; many wake-ups before that are one run."""
        if self.queue.put_if_empty(NUDGED + name, 1):
            self._rounds[name]()

    def beat(self) -> None:
        """Note that a worker is alive."""
        self.queue.put(HEARTBEAT, clock.now().isoformat())

    def be_silent(self) -> None:
        """Forget the sign of life of a worker that was stopped."""
        self.queue.delete(HEARTBEAT)

    def heartbeat_age(self) -> timedelta | None:
        """How long ago a worker gave a sign of life; None when none ever did."""
        beaten_at = self.queue.get(HEARTBEAT, peek=True)
        return clock.now() - datetime.fromisoformat(beaten_at) if beaten_at else None

    def waiting(self) -> int:
        """How many runs wait in the queue."""
        return int(self.queue.pending_count())

    def worker(self, threads: int) -> Consumer:
        """The worker: threads that run what is in the queue, and the clock that puts each job there."""
        options = {
            "workers": threads,
            "max_delay": 0.5,
            "graceful_signal": "TERM",
            "shutdown_timeout": STOP_SECONDS,
        }
        return self.queue.create_consumer(**options)


def init_jobs(app: Flask, table: Iterable[Job]) -> None:
    """Give `app` its jobs."""
    app.extensions[EXTENSION] = Jobs(app, table, open_queue(app.config["SETTINGS"]))
    app.teardown_appcontext(_wake_nudged)


def open_queue(settings: Settings) -> Huey:
    """The queue: a file beside a SQLite database, tables in a PostgreSQL one, nothing lasting in tests."""
    if settings.environment == "test":
        return MemoryHuey("market", results=False)
    if settings.database_url.startswith("sqlite"):
        return SqliteHuey(
            "market", filename=str(settings.data_dir / "jobs.sqlite3"), results=False, fsync=False
        )
    dsn = settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    return PostgresHuey("market", dsn=dsn, results=False)


def current_jobs() -> Jobs:
    """The jobs of the current app."""
    jobs: Jobs = current_app.extensions[EXTENSION]
    return jobs


def nudge(name: str) -> None:
    """Run job `name` as soon as the present transaction is committed, instead of at its next round.

    Called several times it wakes the job once. A rule names what has to follow itself, by `core/waking.py`. Raises
    KeyError for a job that does not exist.
    """
    g.setdefault("nudged", {})[current_jobs().table[name].name] = None


def _wake_nudged(_error: BaseException | None) -> None:
    """After the commit. When that failed the sweep finds nothing, which does no harm."""
    session: Session | None = g.get("session")
    left_by_rules = jobs_to_wake(session) if session is not None else []
    for name in dict.fromkeys([*g.pop("nudged", ()), *left_by_rules]):
        try:
            current_jobs().wake(name)
        except Exception:  # the answer is already right; the next round does the work
            log.exception("nudge_lost", job=name)
