"""`flask ledger verify`: every check of the stored rows, each with its count; status 1 when anything is found."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from marketplace.ledger import verify as ledger_checks
from marketplace.ledger.checks import Check, Finding, run_checks
from marketplace.linkage.models import Mechanism
from marketplace.payments import verify as payment_checks
from marketplace.payments.closing import verify as closing_checks
from marketplace.payments.payouts import verify as payout_checks
from marketplace.payments.refunds import verify as refund_checks
from marketplace.web.transaction import database

CHECKS: tuple[Check, ...] = (
    *ledger_checks.CHECKS,
    *payment_checks.CHECKS,
    *refund_checks.CHECKS,
    *closing_checks.CHECKS,
    *payout_checks.CHECKS,
)


@click.group("ledger")
def ledger() -> None:
    """The linkage ledger."""


@ledger.command("verify")
@with_appcontext
def verify() -> None:
    """Check the ledger and everything settled into it; changes nothing."""
    found = 0
    with database().reading() as session:
        for result in run_checks(session, CHECKS):
            mark = "×" if result.findings else "✓"
            click.echo(f"{mark} {result.check.name:<24} {result.examined:>9}  {result.check.description}")
            for finding in result.findings:
                click.echo(f"    {_words(finding)}")
            found += len(result.findings)
    if found:
        click.echo(f"{found} 处不符")
        raise SystemExit(1)
    click.echo("全部相符")


def _words(finding: Finding) -> str:
    """The finding in Chinese, codes by their labels."""
    params = {
        key: Mechanism(value).label if value in list(Mechanism) else value
        for key, value in finding.params.items()
    }
    return finding.message % params
