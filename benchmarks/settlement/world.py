"""Lines to settle, each shared among 20 households: one made by the real rules, the others cloned from it in SQL."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.orm import Session

from marketplace.core.schema import upgrade
from marketplace.ordering.models import LineLot, OrderLine
from marketplace.registry.models import Cooperative
from tests.factories.base import using
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, HouseholdFactory
from tests.factories.trade import lot_for, offer, sell

HOUSEHOLDS = 20
LOTS = 10
FIRST_CLONE = 1_000
CLONED = ("customer_order", "order_part", "order_line", "line_lot")


class World:
    """A market with one cooperative, 10 lots and 200 households, in the database behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        upgrade(engine.url.render_as_string(hide_password=False))
        with Session(engine) as session, using(session):
            self.lots = _found(session)
            line = session.scalars(select(OrderLine)).one()
            lot_row = session.scalars(select(LineLot)).one()
            self.template = {
                "customer_order": line.order_id,
                "order_part": line.part_id,
                "order_line": line.id,
                "line_lot": lot_row.id,
            }
            session.commit()
        self.cloned = 0

    def add_lines(self, count: int) -> int:
        """Make `count` further lines that are accepted and paid; returns how many there are to settle."""
        with self.engine.begin() as connection:
            for table in CLONED:
                self._clone(connection, table, count)
        self.cloned += count
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("CHECKPOINT"))
        return count

    def _clone(self, connection: Connection, table: str, count: int) -> None:
        first = FIRST_CLONE + self.cloned
        key = ":first + g"
        values = {
            "id": key,
            "public_no": "'B' || :first + g",
            "idempotency_key": "'bench-' || (:first + g)",
            "order_id": key,
            "part_id": key,
            "line_id": key,
            "settled_at": "NULL",
            "lot_id": f"(ARRAY{self.lots})[1 + (:first + g) % {LOTS}]",
        }
        columns = [column["name"] for column in inspect(connection).get_columns(table)]
        picked = ", ".join(values.get(name, f"t.{name}") for name in columns)
        connection.execute(
            text(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {picked} FROM {table} t, generate_series(1, :count) g WHERE t.id = :template"
            ),
            {"first": first, "count": count, "template": self.template[table]},
        )


def _found(session: Session) -> list[int]:
    """The cooperative, its lots and what each household delivered into its lot; sells one line."""
    cooperative: Cooperative = CooperativeFactory()
    offered = offer(session, cooperative, units=1_000_000)
    lots = [offered.lot] + [
        lot_for(session, offered, units=1_000_000, harvested_on=date(2026, 1, 2)) for _ in range(LOTS - 1)
    ]
    for lot in lots:
        for number in range(HOUSEHOLDS):
            enrolment = EnrolmentFactory(cooperative=cooperative, household=HouseholdFactory())
            contract = ContractFactory(enrolment=enrolment)
            EntitlementFactory(agreement=contract, lot=lot, amount_fen=10_007 + 971 * number)
    sell(session, offered, 3)
    return [lot.id for lot in lots]
