"""`python -m benchmarks.settlement`: interleaved rounds of every way to post a line, then ratios of the medians."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from statistics import median

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from benchmarks.settlement import copying, growth, ours
from benchmarks.settlement.world import HOUSEHOLDS, World
from marketplace.core.db import open_engine
from tests.databases import PostgresqlServer

DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=4GB",
           "max_connections=50")  # fmt: skip
OTHER_PYTHON = Path(__file__).parents[2] / ".venv/hordak/bin/python"
SINGLE, BATCHED, HORDAK, HORDAK_100, COPY, CHECKED_COPY = (
    "(a) ours, a commit per line",
    "(b) ours, 100 lines a commit, 2 workers",
    "django-hordak, a commit per line",
    "django-hordak, 100 lines a commit",
    "COPY of the same rows",
    "COPY, with the foreign keys",
)
AIMS = (
    ("(a) / hordak", SINGLE, HORDAK, 2.4),
    ("(b) / hordak", BATCHED, HORDAK, 9.0),
    ("(b) / COPY", BATCHED, COPY, 0.65),
)
LOAD = "load average {:.1f} {:.1f} {:.1f} on {} cores"


class Bench:
    """A server with the world, the copies and the other ledger."""

    def __init__(self, server: PostgresqlServer) -> None:
        admin = create_engine(server.url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            for name in ("bench", "bench_hordak"):
                connection.execute(text(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0"))
        admin.dispose()
        self.url = make_url(server.url).set(database="bench").render_as_string(hide_password=False)
        self.engine: Engine = open_engine(self.url)
        self.world = World(self.engine)
        copying.make_tables(self.engine)
        self.rates: dict[str, list[float]] = {}
        self.settled = 0
        command = [str(OTHER_PYTHON), "-W", "ignore", str(Path(__file__).with_name("hordak_side.py"))]
        self.other = subprocess.Popen(
            [*command, str(server.folder), "bench_hordak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def round(self, lines: int) -> None:
        """One of each, `lines` lines where they are quick, a fifth of them where every line is committed."""
        few = max(lines // 5, 20)
        self._ours(SINGLE, few, batch=1, workers=1)
        self._hordak(HORDAK, few, batch=1)
        self._ours(BATCHED, lines, batch=100, workers=2)
        self._note(COPY, *copying.copy(self.engine))
        self._note(CHECKED_COPY, *copying.copy(self.engine, copying.CHECKED))
        self._hordak(HORDAK_100, few, batch=100)

    def _ours(self, name: str, lines: int, *, batch: int, workers: int) -> None:
        before = batch * workers  # settled before the clock starts
        self.world.add_lines(before + lines)
        self._note(name, lines, ours.settle(self.url, batch=batch, workers=workers))
        self.settled += before + lines
        ours.verify_all(self.engine, lines=self.settled + 1, households=HOUSEHOLDS)

    def _hordak(self, name: str, lines: int, *, batch: int) -> None:
        assert self.other.stdin is not None
        assert self.other.stdout is not None
        self.other.stdin.write(json.dumps({"lines": lines, "batch": batch}) + "\n")
        self.other.stdin.flush()
        self._note(name, lines, json.loads(self.other.stdout.readline())["seconds"])

    def _note(self, name: str, lines: int, seconds: float) -> None:
        self.rates.setdefault(name, []).append(lines / seconds)
        print(f"  {name:<42} {lines / seconds:8.0f} lines/s", flush=True)

    def settle_first(self) -> None:
        """The line that was sold by the rules, and what a first run warms."""
        ours.settle(self.url, batch=100, workers=1)
        copying.copy(self.engine)
        copying.copy(self.engine, copying.CHECKED)

    def close(self) -> None:
        """End the other ledger and let go of the database."""
        self.other.terminate()
        self.other.wait()
        self.engine.dispose()


def report(bench: Bench) -> None:
    """Lines a second, and the ratios with what they aim at."""
    medians = {name: median(rates) for name, rates in bench.rates.items()}
    for name, rate in medians.items():
        spread = f"{min(bench.rates[name]):.0f} to {max(bench.rates[name]):.0f}"
        print(f"{name:<42} {rate:8.0f} lines/s   ({spread})", flush=True)
    for name, ours_name, other, aim in AIMS:
        ratio = medians[ours_name] / medians[other]
        print(f"{name:<42} {ratio:8.2f}           aim {aim} {'reached' if ratio >= aim else 'NOT REACHED'}")


def main() -> None:
    """Read the options and run."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--lines", type=int, default=2_000)
    options.add_argument("--stored", type=int, nargs="*", default=[1_000_000, 3_000_000, 10_000_000])
    asked = options.parse_args()
    server = PostgresqlServer(DURABLE)
    try:
        bench = Bench(server)
        bench.settle_first()
        for number in range(asked.rounds):
            bench.round(asked.lines)
            load = LOAD.format(*os.getloadavg(), os.cpu_count())
            print(f"round {number + 1} of {asked.rounds}, {load}", flush=True)
        report(bench)
        bench.world.add_lines(asked.lines)
        print(ours.profile(bench.url, batch=100))
        bench.settled += asked.lines
        for stored in asked.stored:
            growth.fill(bench.engine, transfers=stored)
            bench.rates.clear()
            bench.world.add_lines(200 + asked.lines)
            seconds = ours.settle(bench.url, batch=100, workers=2)
            load = LOAD.format(*os.getloadavg(), os.cpu_count())
            print(
                f"with {stored:>10,} transfers stored {asked.lines / seconds:8.0f} lines/s, {load}",
                flush=True,
            )
        bench.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
