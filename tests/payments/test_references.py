"""Transfers and credits refer to rows that are there and stay there, whoever writes them and however."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, Table, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core import bulk
from marketplace.core.bulk import Rows
from marketplace.core.references import references_of
from marketplace.core.schema import all_tables
from marketplace.ledger.models import Transfer
from marketplace.payments.models import Credit
from marketplace.payments.settlement import settle_lines
from marketplace.registry.models import Cooperative, Household
from tests.conftest import HeldClock
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, HouseholdFactory
from tests.factories.trade import offer, sell

NOBODY = 999_999_999
TABLES = ("transfer", "credit")
OTHERS = "kind, occurred_at, recorded_at, subject_kind, subject_id, reason, body, body_hash, salt"
NEW_ENTRY = (
    f"INSERT INTO entry (id, public_no, idempotency_key, {OTHERS})"
    f" SELECT {NOBODY}, 'J-NEW', 'new', {OTHERS} FROM entry LIMIT 1"
)
REFERENCES = [(name, one.name) for name in TABLES for one in references_of(all_tables().tables[name])]


@pytest.fixture
def settled(session: Session, clock: HeldClock) -> Session:
    """A line settled to one household."""
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=1)
    settle_lines(session)
    session.commit()
    return session


def stored(session: Session) -> tuple[Sequence[Any], ...]:
    return tuple(session.execute(text(f"SELECT * FROM {name} ORDER BY id")).all() for name in TABLES)


def another(session: Session, name: str, number: int, **changed: object) -> dict[str, Any]:
    """A row like the last of its table, but new: its own keys, and what is `changed`."""
    table = all_tables().tables[name]
    row = dict(session.execute(select(table).order_by(table.c.id.desc()).limit(1)).mappings().one())
    row["id"] = NOBODY + number
    if name == "transfer":
        row["position"] += number
    else:
        row |= {"public_no": f"I-{number:010}", "household_id": HouseholdFactory().id}
        session.flush()
    return {column: getattr(value, "value", value) for column, value in (row | changed).items()}


def insert_rows(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        session.execute(insert(table), [row])


def insert_rows_in_one_statement(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    session.execute(insert(table).values(rows))


def written_by_rows(session: Session, table: Table, rows: list[dict[str, Any]]) -> None:
    collected = Rows(session)
    model = Transfer if table.name == "transfer" else Credit
    collected.add(model, tuple(rows[0]), [tuple(row.values()) for row in rows])
    collected.write()


@pytest.mark.parametrize(("name", "column"), REFERENCES)
@pytest.mark.parametrize("write", [insert_rows, insert_rows_in_one_statement])
def test_a_row_that_refers_to_nothing_is_refused(settled: Session, name: str, column: str, write: Any):
    before, table = stored(settled), all_tables().tables[name]
    rows = [another(settled, name, 1), another(settled, name, 2, **{column: NOBODY})]
    with pytest.raises(IntegrityError, match=r"(?i)foreign key|refers to a row"), settled.begin_nested():
        write(settled, table, rows)
    assert stored(settled) == before


@pytest.mark.parametrize(("name", "column"), REFERENCES)
@pytest.mark.parametrize("few", [0, 200], ids=["by COPY", "together"])
def test_many_rows_are_refused_when_one_refers_to_nothing(
    settled: Session, monkeypatch: pytest.MonkeyPatch, name: str, column: str, few: int
):
    monkeypatch.setattr(bulk, "FEW", few)
    before, table = stored(settled), all_tables().tables[name]
    rows = [another(settled, name, number) for number in range(1, 9)]
    rows[4][column] = NOBODY
    with pytest.raises(IntegrityError), settled.begin_nested():
        written_by_rows(settled, table, rows)
    assert stored(settled) == before


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("few", [0, 200], ids=["by COPY", "together"])
def test_many_rows_are_written_when_all_they_refer_to_is_there(
    settled: Session, monkeypatch: pytest.MonkeyPatch, name: str, few: int
):
    monkeypatch.setattr(bulk, "FEW", few)
    rows = [another(settled, name, number) for number in range(1, 9)]
    written_by_rows(settled, all_tables().tables[name], rows)
    there = select(func.count()).where(all_tables().tables[name].c.id > NOBODY)
    assert settled.scalar(there) == 8


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(("name", "column"), REFERENCES)
def test_the_refusal_is_that_of_a_foreign_key(settled: Session, name: str, column: str):
    row = another(settled, name, 1, **{column: NOBODY})
    with pytest.raises(IntegrityError) as refused, settled.begin_nested():
        settled.execute(insert(all_tables().tables[name]), [row])
    error = refused.value.orig
    assert isinstance(error, psycopg.errors.ForeignKeyViolation)
    said = error.diag
    assert (said.table_name, said.column_name) == (name, column)
    assert said.constraint_name == f"fk_{name}_{column}"
    assert said.message_detail is not None
    assert f"Key ({column})=({NOBODY}) is not present" in said.message_detail


def test_a_reference_may_be_empty_where_the_column_allows(settled: Session):
    settled.execute(insert(Transfer), [another(settled, "transfer", 1, cooperative_id=None)])
    assert settled.scalar(select(Transfer.cooperative_id).where(Transfer.id == NOBODY + 1)) is None


def test_a_row_may_come_with_what_it_refers_to(settled: Session):
    settled.execute(text(NEW_ENTRY))
    settled.execute(insert(Transfer), [another(settled, "transfer", 1, entry_id=NOBODY)])
    assert settled.scalar(select(Transfer.entry_id).where(Transfer.id == NOBODY + 1)) == NOBODY


@pytest.mark.databases("postgresql")
def test_a_row_may_come_in_the_same_statement(settled: Session):
    settled.execute(
        text(
            f"WITH new AS ({NEW_ENTRY} RETURNING id)"
            " INSERT INTO transfer (entry_id, position, debit_account_id, credit_account_id, amount_fen)"
            " SELECT new.id, 1, debit_account_id, credit_account_id, 7"
            " FROM new, (SELECT * FROM transfer LIMIT 1) AS old"
        )
    )
    assert settled.scalar(select(Transfer.entry_id).where(Transfer.amount_fen == 7)) == NOBODY


@pytest.mark.databases("postgresql")
def test_a_table_of_the_same_name_does_not_deceive(settled: Session):
    """Temporary tables come before all others, but not for the look at references."""
    before, row = stored(settled), another(settled, "transfer", 1, entry_id=NOBODY)
    settled.execute(text(f"CREATE TEMPORARY TABLE entry AS SELECT CAST({NOBODY} AS bigint) AS id"))
    with pytest.raises(IntegrityError, match=r"transfer.entry_id refers to"), settled.begin_nested():
        settled.execute(insert(Transfer), [row])
    assert stored(settled) == before


LOSSES = [
    ("DELETE FROM household", "household"),
    ("DELETE FROM cooperative", "cooperative"),
    ("DELETE FROM order_line", "order_line"),
    ("DELETE FROM entry", "entry"),
    ("DELETE FROM account", "account"),
    ("DELETE FROM linkage_pool", "linkage_pool"),
    ("UPDATE household SET id = id + 1000", "household"),
    ("UPDATE cooperative SET id = id + 1000", "cooperative"),
    ("UPDATE order_line SET id = id + 1000", "order_line"),
    ("UPDATE entry SET id = id + 1000", "entry"),
    ("UPDATE account SET id = id + 1000", "account"),
    ("UPDATE linkage_pool SET id = id + 1000", "linkage_pool"),
]


@pytest.mark.parametrize(("statement", "table"), LOSSES)
def test_what_is_referred_to_stays(settled: Session, statement: str, table: str):
    before = settled.execute(text(f"SELECT * FROM {table} ORDER BY id")).all()
    with pytest.raises(IntegrityError), settled.begin_nested():
        settled.execute(text(statement))
    assert settled.execute(text(f"SELECT * FROM {table} ORDER BY id")).all() == before


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    "table", ["household", "cooperative", "order_line", "entry", "account", "linkage_pool"]
)
def test_what_is_referred_to_cannot_be_emptied(settled: Session, table: str):
    before = stored(settled)
    with pytest.raises(IntegrityError, match="TRUNCATE is refused"), settled.begin_nested():
        settled.execute(text(f"TRUNCATE {table} CASCADE"))
    assert stored(settled) == before


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("model", [Household, Cooperative])
@pytest.mark.parametrize(
    "change", ["DELETE FROM {0} WHERE id = {1}", "UPDATE {0} SET id = {2} WHERE id = {1}"]
)
def test_a_target_cannot_be_taken_away_beside_a_row_that_is_not_committed(
    settled: Session, engine: Engine, model: type[Household | Cooperative], change: str
):
    """The other connection sees no row that refers to the target, and is refused without waiting for it."""
    target = HouseholdFactory() if model is Household else CooperativeFactory()
    settled.commit()
    key, name = target.id, model.__tablename__
    settled.execute(insert(Credit), [another(settled, "credit", 1, **{f"{name}_id": key})])
    with closing(engine.connect()) as beside:
        beside.execute(text("SET LOCAL lock_timeout = '5s'"))
        with pytest.raises(IntegrityError, match=f"rows of {name} are referred to for ever"):
            beside.execute(text(change.format(name, key, NOBODY)))
        beside.rollback()
    settled.commit()
    kept = settled.execute(select(func.count()).select_from(model).where(model.id == key))
    assert kept.scalar_one() == 1


@pytest.mark.databases("postgresql")
def test_a_target_of_another_connection_counts_when_it_is_committed(settled: Session, engine: Engine):
    before, row = stored(settled), another(settled, "transfer", 1, entry_id=NOBODY)
    with closing(engine.connect()) as beside:
        beside.execute(text(NEW_ENTRY))
        with pytest.raises(IntegrityError, match=r"transfer.entry_id refers to"), settled.begin_nested():
            settled.execute(insert(Transfer), [row])
        assert stored(settled) == before
        beside.commit()
        settled.execute(insert(Transfer), [row])
    assert settled.scalar(select(Transfer.entry_id).where(Transfer.id == row["id"])) == NOBODY
