"""Settling with the platform's own job, from one worker or from several, each in a process of its own."""

from __future__ import annotations

import cProfile
import io
import multiprocessing
import pstats
import time
from multiprocessing.synchronize import Barrier

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from marketplace.core.db import open_engine, session_maker
from marketplace.ledger.checks import run_checks
from marketplace.payments import verify
from marketplace.payments.models import Credit
from marketplace.payments.settlement import settle_lines

OF_CLONES = {
    "net_of_settlement",
    "settled_when_due",
    "pools_of_line",
    "credits_of_pool",
    "credits_are_posted",
}


def settle(url: str, *, batch: int, workers: int) -> float:
    """Seconds until nothing is left to settle: `workers` processes, each committing after every `batch` lines.

    Each settles one batch before the clock starts, as the other ways have worked before too.
    """
    context = multiprocessing.get_context("spawn")
    start, end = context.Barrier(workers + 1), context.Barrier(workers + 1)
    running = [context.Process(target=_work, args=(url, batch, start, end)) for _ in range(workers)]
    for process in running:
        process.start()
    start.wait()
    began = time.perf_counter()
    end.wait()
    took = time.perf_counter() - began
    for process in running:
        process.join()
    return took


def _work(url: str, batch: int, start: Barrier, end: Barrier) -> None:
    sessions = session_maker(open_engine(url))
    with sessions() as session:
        settle_lines(session, limit=batch)
        session.commit()
    start.wait()
    try:
        _settle_all(sessions, batch)
        end.wait()
    except BaseException:
        end.abort()  # or the others would wait for ever
        raise


def _settle_all(sessions: object, batch: int) -> None:
    while True:
        with sessions() as session:  # type: ignore[operator]
            done = settle_lines(session, limit=batch)
            session.commit()
        if not done:
            return


def profile(url: str, *, batch: int) -> str:
    """Where one worker's time goes."""
    sessions = session_maker(open_engine(url))
    profiler = cProfile.Profile()
    profiler.runcall(_settle_all, sessions, batch)
    text_of = io.StringIO()
    pstats.Stats(profiler, stream=text_of).sort_stats("tottime").print_stats(14)
    return "\n".join(line for line in text_of.getvalue().splitlines() if line.strip())


def verify_all(engine: Engine, *, lines: int, households: int) -> None:
    """Raise AssertionError unless all lines are settled to the fen, each to all households."""
    with Session(engine) as session:
        assert session.scalar(text("SELECT count(*) FROM settlement")) == lines
        assert session.scalar(text("SELECT count(*) FROM credit")) == lines * households
        assert session.scalar(select(Credit.amount_fen).order_by(Credit.amount_fen).limit(1)) > 0
        checks = [check for check in verify.CHECKS if check.name in OF_CLONES]
        for result in run_checks(session, checks):
            assert result.findings == [], result
