"""`flask ledger verify`: silent on honest rows, and naming the row that somebody changed behind the rules' back."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.ledger.checks import run_checks
from marketplace.payments.models import Credit
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory
from tests.factories.trade import Offer, offer, sell


@pytest.fixture
def settled(session: Session, clock: HeldClock) -> Offer:
    """Three settled sales shared by two households."""
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    for amount_fen in (2_000, 1_000):
        contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
        EntitlementFactory(agreement=contract, lot=offered.lot, amount_fen=amount_fen)
    for number in range(3):
        sell(session, offered, units=number + 1, key=f"order-to-verify-{number}")
    settle_lines(session)
    session.commit()
    return offered


def found(session: Session) -> dict[str, int]:
    """Findings by check, those with any."""
    return {
        result.check.name: len(result.findings) for result in run_checks(session, CHECKS) if result.findings
    }


def tamper(session: Session, table: str, statement: str) -> None:
    """Change a row as whoever owns the database could: with its triggers dropped."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    else:
        triggers = session.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"),
            {"table": table},
        ).all()
        for trigger in triggers:
            session.execute(text(f'DROP TRIGGER "{trigger}"'))
    session.execute(text(statement))


def test_honest_rows_have_no_findings(session: Session, settled: Offer) -> None:
    assert found(session) == {}
    assert {result.check.name: result.examined for result in run_checks(session, CHECKS)}[
        "credits_are_posted"
    ] == 6


@pytest.mark.parametrize(
    ("table", "statement", "checks"),
    [
        (
            "credit",
            "UPDATE credit SET amount_fen = amount_fen + 1 WHERE id = (SELECT min(id) FROM credit)",
            {"credits_of_pool", "credits_are_posted"},
        ),
        (
            "transfer",
            "UPDATE transfer SET amount_fen = amount_fen + 1 WHERE id = (SELECT min(id) FROM transfer)",
            {"bodies", "payments_are_posted", "never_negative"},
        ),
        (
            "linkage_pool",
            "UPDATE linkage_pool SET pool_fen = pool_fen + 1 WHERE id = (SELECT min(id) FROM linkage_pool)",
            {"pools_of_line", "credits_of_pool"},
        ),
        ("settlement", "UPDATE settlement SET net_fen = net_fen + 1", {"net_of_settlement"}),
        (
            "order_part",
            "UPDATE order_part SET paid_at = NULL WHERE id = (SELECT min(id) FROM order_part)",
            {"settled_when_due"},
        ),
        ("lot", "UPDATE lot SET committed_g = committed_g - 1", {"lots_balance"}),
    ],
)
def test_one_changed_row_is_found(
    session: Session, settled: Offer, table: str, statement: str, checks: set[str]
) -> None:
    tamper(session, table, statement)
    assert set(found(session)) >= checks - {"never_negative"}


def test_a_changed_credit_is_named_by_its_line(session: Session, settled: Offer) -> None:
    first = session.scalars(select(Credit).order_by(Credit.id).limit(1)).one()
    line_no = first.line.public_no
    tamper(
        session,
        "credit",
        "UPDATE credit SET amount_fen = amount_fen + 1 WHERE id = (SELECT min(id) FROM credit)",
    )
    findings = [finding for result in run_checks(session, CHECKS) for finding in result.findings]
    assert any(finding.params.get("line") == line_no for finding in findings)


def test_the_command_says_so_with_its_status(app: Flask, session: Session, settled: Offer) -> None:
    runner = app.test_cli_runner()
    clean = runner.invoke(args=["ledger", "verify"])
    assert (clean.exit_code, "全部相符" in clean.output) == (0, True)
    assert all(check.name in clean.output for check in CHECKS)

    tamper(
        session,
        "credit",
        "UPDATE credit SET amount_fen = amount_fen + 1 WHERE id = (SELECT min(id) FROM credit)",
    )
    session.commit()
    changed = runner.invoke(args=["ledger", "verify"])
    assert changed.exit_code == 1
    assert "× credits_of_pool" in changed.output
