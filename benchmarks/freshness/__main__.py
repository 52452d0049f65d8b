"""`python -m benchmarks.freshness`: seconds from the commit of a change to the search that finds it, on both engines.

A shop of some thousand listings is indexed, the worker is started as `flask serve` starts it, and this process changes
listings as pages do: a rule in a transaction, the nudge after its commit. Then it searches every 5 ms until the answer
is the new one. The worker is idle before each change, as it is on most days.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from benchmarks.settlement.__main__ import DURABLE, LOAD
from config import Settings
from marketplace.app import create_app
from marketplace.catalog.indexing import rebuild_index
from marketplace.catalog.models import Listing
from marketplace.catalog.rules import publish_listing, withdraw_listing
from marketplace.catalog.search.engine import SearchEngine, SearchRequest
from marketplace.core.schema import upgrade
from marketplace.identity.actors import Actor
from marketplace.web.jobs import EXTENSION
from marketplace.web.transaction import runner
from tests.databases import PostgresqlServer
from tests.factories.base import using
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.trade import TENTH, Offer, buy, offer, staff_buyer

LOOK_SECONDS = 0.005
MOST_SECONDS = 90.0
UNITS = 3
AIM_SECONDS = 5.0
Rule = Callable[[Session, Listing], object]


class Shop:
    """A shop on one engine: `listings` that stand there and `changed` that will change, and its worker."""

    def __init__(self, settings: Settings, *, listings: int, changed: int) -> None:
        upgrade(settings.database_url)
        self.app: Flask = create_app(settings)
        self.engine: SearchEngine = self.app.extensions["search"]
        with runner(self.app) as session, using(session):
            few = [CooperativeFactory() for _ in range(20)]
            for number in range(listings):
                offer(session, few[number % len(few)])
            self.buyer: Actor = staff_buyer()
            self.waiting = [self._one(session) for _ in range(changed)]
            session.flush()
            rebuild_index(session, self.engine)

    @staticmethod
    def _one(session: Session) -> tuple[int, str, Actor]:
        """A listing of a cooperative of its own, so that a search finds it alone; not published yet."""
        cooperative = CooperativeFactory()
        offered = offer(session, cooperative, units=UNITS)
        withdraw_listing(session, manager := actor_at(cooperative), offered.listing)
        return offered.listing.id, cooperative.public_no, manager

    def changes(self) -> Iterator[tuple[str, float]]:
        """Each kind of change with the seconds it took to be found."""
        for place, (listing_id, cooperative_no, manager) in enumerate(self.waiting):
            asked = {"cooperatives": (cooperative_no,)}
            price_fen = 4_990 - place  # so little that the county need not look
            yield "published", self._timed(listing_id, _publish(manager, 5_000), 1, **asked)
            yield (
                "priced anew",
                self._timed(listing_id, _publish(manager, price_fen), 1, price_max_fen=price_fen, **asked),
            )
            yield "sold out", self._timed(listing_id, self._sell(place), 0, in_stock_only=True, **asked)
            yield "taken down", self._timed(listing_id, _withdraw(manager), 0, **asked)

    def _sell(self, place: int) -> Rule:
        def rule(session: Session, listing: Listing) -> object:
            offered = Offer(listing, None, None)  # type: ignore[arg-type]  # only its listing is looked at
            return buy(session, self.buyer, (offered, UNITS), key=f"benchmark-{place:06}")

        return rule

    def _timed(self, listing_id: int, rule: Rule, expected: int, **asked: object) -> float:
        """Change a listing, then seconds from the commit until a search gives `expected` results."""
        while self.app.extensions[EXTENSION].waiting():
            time.sleep(LOOK_SECONDS)
        with runner(self.app) as session, using(session):
            rule(session, session.get_one(Listing, listing_id))
            session.commit()
            committed = time.perf_counter()
        request = SearchRequest(**asked)  # type: ignore[arg-type]
        while self.engine.search(request).total != expected:
            if time.perf_counter() - committed > MOST_SECONDS:
                raise SystemExit(f"not found after {MOST_SECONDS:.0f} s: {request}")
            time.sleep(LOOK_SECONDS)
        return time.perf_counter() - committed


def _publish(manager: Actor, price_fen: int) -> Rule:
    return lambda session, listing: publish_listing(
        session, manager, product=listing.product, title="山茶油", description="冷榨",
        tiers=[(1, price_fen)], terms=TENTH,
    )  # fmt: skip


def _withdraw(manager: Actor) -> Rule:
    return lambda session, listing: withdraw_listing(session, manager, listing)


@contextmanager
def worker_of(settings: Settings) -> Iterator[None]:
    """The worker, as `flask serve` starts it; ready when it has given a sign of life."""
    environment = {
        **os.environ,
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "ENVIRONMENT": "development",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(8)
        yield
    finally:
        process.terminate()
        process.wait(30)


def measure(name: str, settings: Settings, *, listings: int, changed: int) -> dict[str, list[float]]:
    """Seconds by kind of change."""
    shop = Shop(settings, listings=listings, changed=changed)
    found: dict[str, list[float]] = {}
    with worker_of(settings):
        for kind, seconds in shop.changes():
            found.setdefault(kind, []).append(seconds)
    shop.engine.close()
    _print(name, found)
    return found


def _print(name: str, found: dict[str, list[float]]) -> None:
    print(f"\n{name}")
    for kind, seconds in [*found.items(), ("all", [one for some in found.values() for one in some])]:
        late, slowest = quantiles(seconds, n=20, method="inclusive")[-1], max(seconds)
        print(
            f"  {kind:<12} {len(seconds):>4} changes: half within {median(seconds):.2f} s, 95 of 100 within "
            f"{late:.2f} s, slowest {slowest:.2f} s, {slowest / AIM_SECONDS:.2f} of the {AIM_SECONDS:.0f} s allowed"
        )


def main() -> None:
    """Measure both engines one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listings", type=int, default=2_000, help="that stand in the shop")
    parser.add_argument("--changed", type=int, default=15, help="that are changed, four times each")
    parser.add_argument("--json", type=Path, help="write the seconds here")
    given = parser.parse_args()
    wanted = {"listings": given.listings, "changed": given.changed}
    print(LOAD.format(*os.getloadavg(), os.cpu_count() or 1))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "sqlite", environment="development", search="whoosh")
        results["whoosh"] = measure("SQLite, embedded engine", settings, **wanted)
        server = PostgresqlServer(DURABLE)
        try:
            admin = create_engine(server.url, isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(text("CREATE DATABASE bench ENCODING 'UTF8' TEMPLATE template0"))
            admin.dispose()
            url = make_url(server.url).set(database="bench").render_as_string(hide_password=False)
            settings = Settings(data_dir=Path(folder) / "postgresql", database_url=url)
            results["postgresql"] = measure("PostgreSQL", settings, **wanted)
        finally:
            server.stop()
    print(LOAD.format(*os.getloadavg(), os.cpu_count() or 1))
    if given.json:
        given.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
