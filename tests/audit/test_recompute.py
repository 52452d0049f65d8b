"""`flask audit recompute`: silent on an honest year, naming each row that was changed, taken away or invented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from marketplace.audit.recompute.report import MOST_KEPT, Kind, Report
from marketplace.audit.recompute.run import recompute_everything
from marketplace.identity.models import Role
from marketplace.linkage.models import Charge, Entitlement
from marketplace.ordering.models import OrderLine
from marketplace.payments.closing.models import GuaranteePosting
from marketplace.payments.corrections.models import CorrectionKind
from marketplace.payments.corrections.rules import agree_correction, propose_correction
from marketplace.payments.models import Credit, LinkagePool, PoolDistribution, Settlement
from marketplace.payments.refunds.models import CreditAddition, CreditReversal
from marketplace.registry.models import HouseholdStatusKind
from marketplace.registry.rules import record_status
from tests.audit.recompute_world import World, play
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.refunds import refunded

FEN = (  # a column of a table, and what its change is a difference of
    ("entitlement", "amount_fen", Kind.ENTITLEMENT),
    ("charge", "amount_fen", Kind.CHARGE),
    ("settlement", "net_fen", Kind.SETTLEMENT),
    ("settlement", "pool_fen", Kind.SETTLEMENT),
    ("linkage_pool", "pool_fen", Kind.POOL),
    ("pool_distribution", "weight_total_fen", Kind.DISTRIBUTION),
    ("credit", "amount_fen", Kind.CREDIT),
    ("credit", "weight_fen", Kind.CREDIT),
    ("credit_reversal", "amount_fen", Kind.REVERSAL),
    ("guarantee_posting", "amount_fen", Kind.GUARANTEE),
    ("guarantee_posting", "due_fen", Kind.GUARANTEE),
    ("guarantee_posting", "credited_fen", Kind.GUARANTEE),
)


@pytest.fixture
def world(session: Session, clock: HeldClock) -> World:
    return play(session, clock)


def tamper(session: Session, table: str, statement: str) -> None:
    """Change rows as the owner of a database could: past its triggers, checks and foreign keys."""
    session.commit()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL session_replication_role = replica"))
        checks = text(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(:t AS regclass)"
        )
        for check in session.scalars(checks, {"t": table}).all():
            session.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{check}"'))
        session.execute(text(statement))
        session.commit()
    else:
        _tamper_on_sqlite(session, table, statement)
    session.expire_all()


def _tamper_on_sqlite(session: Session, table: str, statement: str) -> None:
    """Beside the session, because pragmas do nothing inside a transaction."""
    bind = session.get_bind()
    assert isinstance(bind, Engine)
    opened = bind.raw_connection()
    cursor = opened.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.execute("PRAGMA ignore_check_constraints = ON")
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
    for (trigger,) in cursor.fetchall():
        cursor.execute(f'DROP TRIGGER "{trigger}"')
    cursor.execute(statement)
    opened.invalidate()  # the pragmas end with the connection


@contextmanager
def taken_away(session: Session, table: str, where: str) -> Iterator[None]:
    """Rows are gone inside the block."""
    tamper(session, table, f"CREATE TABLE kept_{table} AS SELECT * FROM {table} WHERE {where}")
    tamper(session, table, f"DELETE FROM {table} WHERE {where}")
    yield
    tamper(session, table, f"INSERT INTO {table} SELECT * FROM kept_{table}")


def changed(table: str, column: str, by: int) -> str:
    """Adds fen to a column of the first row that has one."""
    key = {"settlement": "line_id", "pool_distribution": "pool_id"}.get(table, "id")
    first = f"SELECT min({key}) FROM {table} WHERE {column} IS NOT NULL"
    return f"UPDATE {table} SET {column} = {column} + {by} WHERE {key} = ({first})"


def test_an_honest_year_is_derived_again_to_the_fen(session: Session, world: World) -> None:
    report = recompute_everything(session)
    assert report.first == []
    assert report.agrees
    stored = {Kind.ENTITLEMENT: Entitlement, Kind.CHARGE: Charge, Kind.SETTLEMENT: Settlement}
    stored |= {Kind.POOL: LinkagePool, Kind.DISTRIBUTION: PoolDistribution, Kind.CREDIT: Credit}
    stored |= {Kind.REVERSAL: CreditReversal, Kind.GUARANTEE: GuaranteePosting}
    for kind, model in stored.items():
        count = session.scalar(select(func.count()).select_from(model))
        assert (kind, report.compared[kind]) == (kind, count)
        assert count


def test_one_changed_fen_is_found_wherever_it_is(session: Session, world: World) -> None:
    for table, column, kind in FEN:
        tamper(session, table, changed(table, column, 1))
        assert (column, recompute_everything(session).differing) == (column, {kind: 1})
        tamper(session, table, changed(table, column, -1))
    assert recompute_everything(session).agrees


def test_what_differs_is_named_with_both_amounts(session: Session, world: World) -> None:
    credit = session.scalars(select(Credit).order_by(Credit.id).limit(1)).one()
    number, line_no, fen = credit.public_no, credit.line.public_no, credit.amount_fen
    entitlement = session.scalars(select(Entitlement).order_by(Entitlement.id).limit(1)).one()
    evidence_no, due_fen = entitlement.evidence.public_no, entitlement.amount_fen
    tamper(session, "credit", changed("credit", "amount_fen", 1))
    tamper(session, "entitlement", changed("entitlement", "amount_fen", -1))

    by_evidence, by_credit = recompute_everything(session).first
    assert (by_evidence.kind, by_evidence.numbers) == (Kind.ENTITLEMENT, (evidence_no,))
    assert (by_evidence.stored_fen, by_evidence.recomputed_fen) == (due_fen - 1, due_fen)
    assert (by_credit.kind, by_credit.numbers[:2]) == (Kind.CREDIT, (number, line_no))
    assert (by_credit.stored_fen, by_credit.recomputed_fen) == (fen + 1, fen)


def test_an_invented_credit_is_one_too_many_and_one_taken_away_is_missing(
    session: Session, world: World
) -> None:
    last = session.scalars(select(Credit).order_by(Credit.id.desc()).limit(1)).one()
    line_no, fen, household_no = last.line.public_no, last.amount_fen, last.household.public_no
    columns = "pool_id, line_id, cooperative_id, mechanism, weight_fen, amount_fen, entry_id, credited_at"
    tamper(
        session,
        "credit",
        f"INSERT INTO credit (id, public_no, household_id, {columns}) "
        f"SELECT 999999, 'I-INVENTED', (SELECT max(id) FROM household), {columns} FROM credit "
        "WHERE id = (SELECT min(id) FROM credit)",
    )
    (found,) = recompute_everything(session).first
    assert (found.kind, found.numbers[0], found.recomputed) == (Kind.CREDIT, "I-INVENTED", None)

    tamper(session, "credit", f"DELETE FROM credit WHERE id IN (999999, {last.id})")
    (found,) = recompute_everything(session).first
    assert (found.kind, found.stored, found.recomputed_fen) == (Kind.CREDIT, None, fen)
    assert found.numbers[:2] == (household_no, line_no)


def test_what_is_taken_away_is_missing(session: Session, world: World) -> None:
    with taken_away(session, "entitlement", "id = 4"):
        assert recompute_everything(session).differing == {Kind.ENTITLEMENT: 1}
    count = session.scalar(select(func.count(CreditReversal.id)))
    with taken_away(session, "credit_reversal", "true"):
        report = recompute_everything(session)
        assert report.differing[Kind.REVERSAL] == count
        assert all(one.stored is None for one in report.first if one.kind is Kind.REVERSAL)
    of_period = f"period_id = {world.period.id}"
    household = f"FROM guarantee_posting WHERE {of_period} AND mechanism = 'land_transfer' LIMIT 1"
    with taken_away(
        session, "guarantee_posting", f"{of_period} AND household_id = (SELECT household_id {household})"
    ):
        report = recompute_everything(session)
        assert report.differing == {Kind.GUARANTEE: 1}
        assert report.first[0].stored is None
    assert recompute_everything(session).agrees


def test_what_money_rests_on_shows_in_the_money_when_it_is_changed_later(
    session: Session, world: World
) -> None:
    def found_after(table: str, change: str, where: str, undone: str) -> Report:
        tamper(session, table, f"UPDATE {table} SET {change} WHERE {where}")
        report = recompute_everything(session)
        tamper(session, table, f"UPDATE {table} SET {undone} WHERE {where}")
        return report

    heavier = found_after("weigh_slip", "net_g = 2468", "slip_no = 'A1234'", "net_g = 1234")
    assert (
        heavier.differing[Kind.ENTITLEMENT] == 2
    )  # the slip, and the dividend that its household's dealings count in
    assert heavier.differing[Kind.CREDIT] > 1
    assert (heavier.differing[Kind.POOL], heavier.differing[Kind.SETTLEMENT]) == (0, 0)

    smaller = found_after("advance", "amount_fen = 900", "receipt_no = 'YF-1'", "amount_fen = 1500")
    assert set(smaller.differing) == {Kind.CHARGE}

    more = found_after("linkage_term", "rate_bp = 701", "mechanism = 'employment'", "rate_bp = 700")
    assert more.differing[Kind.SETTLEMENT] > 0
    assert more.differing[Kind.POOL] > 0

    earlier = found_after(
        "order_part", "state = 'shipped'", "id = (SELECT min(part_id) FROM order_line)", "state = 'accepted'"
    )
    line_no = session.scalars(select(OrderLine.public_no).order_by(OrderLine.id)).first()
    settlement = next(one for one in earlier.first if one.kind is Kind.SETTLEMENT)
    assert (settlement.numbers, settlement.recomputed) == ((line_no,), None)
    assert earlier.differing[Kind.CREDIT] > 0
    assert recompute_everything(session).agrees


def test_what_a_correction_takes_and_gives_is_derived_again(
    session: Session, clock: HeldClock, world: World
) -> None:
    clock.advance(minutes=1)  # what was shared out before keeps what is voided now
    first = session.scalars(select(Credit).order_by(Credit.id).limit(1)).one()
    household = first.household
    record_status(
        session,
        actor_with(Role.COUNTY_REVIEWER),
        household,
        status=HouseholdStatusKind.INELIGIBLE,
        valid_from=date(2026, 6, 1),
        reason="复核发现有商品房",
    )
    found = propose_correction(
        session,
        actor_with(Role.COUNTY_REVIEWER),
        kind=CorrectionKind.INELIGIBLE,
        household=household,
        from_on=date(2026, 6, 1),
        reason="动态管理复核",
    )
    agree_correction(session, actor_with(Role.COUNTY_REVIEWER), found)
    refunded(session, world.orders[-1], 1, key="after-the-correction")
    session.commit()
    report = recompute_everything(session)
    assert report.first == []
    assert report.compared[Kind.ADDITION] == session.scalar(select(func.count(CreditAddition.id)))
    assert report.compared[Kind.ADDITION]

    addition = session.scalars(select(CreditAddition).order_by(CreditAddition.id).limit(1)).one()
    number, fen = addition.public_no, addition.amount_fen
    tamper(session, "credit_addition", changed("credit_addition", "amount_fen", 1))
    (difference,) = recompute_everything(session).first
    assert (difference.kind, difference.numbers[0]) == (Kind.ADDITION, number)
    assert (difference.stored_fen, difference.recomputed_fen) == (fen + 1, fen)


def test_the_command_says_so_with_its_status(app: Flask, session: Session, world: World) -> None:
    runner = app.test_cli_runner()
    clean = runner.invoke(args=["audit", "recompute"])
    assert (clean.exit_code, "全部一致" in clean.output) == (0, True)
    stored = session.scalar(select(func.count(Credit.id)))
    assert [line.split()[2] for line in clean.output.splitlines() if "入账" in line] == [str(stored)]

    credit = session.scalars(select(Credit).order_by(Credit.id).limit(1)).one()
    line_no = session.get_one(OrderLine, credit.line_id).public_no
    number, fen = credit.public_no, credit.amount_fen
    tamper(session, "credit", "UPDATE credit SET amount_fen = amount_fen + 1")
    changed = runner.invoke(args=["audit", "recompute"])
    assert changed.exit_code == 1
    assert f"入账 {number} {line_no} 订单生产：存的是 {fen + 1} 分，重算是 {fen} 分" in changed.output
    assert sum(line.startswith("    ") for line in changed.output.splitlines()) == MOST_KEPT
    assert f"{stored} 处与重新计算的结果不一致，以上是前 {MOST_KEPT} 处" in changed.output
