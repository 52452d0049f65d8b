"""`flask ledger verify` checks every stored row, `flask audit recompute` derives all money of households again.

Both print how much they looked at, change nothing, and end with status 1 when anything is found.
"""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from marketplace.audit.recompute.report import MOST_KEPT, Difference, Kind
from marketplace.audit.recompute.run import recompute_everything
from marketplace.ledger import verify as ledger_checks
from marketplace.ledger.checks import Check, Finding, run_checks
from marketplace.linkage import verify as linkage_checks
from marketplace.linkage.models import Mechanism
from marketplace.payments import verify as payment_checks
from marketplace.payments.closing import verify as closing_checks
from marketplace.payments.collecting import verify as collecting_checks
from marketplace.payments.deposits import verify as deposit_checks
from marketplace.payments.disputes import verify as dispute_checks
from marketplace.payments.invoices import verify as invoice_checks
from marketplace.payments.late_interest import verify as interest_checks
from marketplace.payments.payouts import verify as payout_checks
from marketplace.payments.purchase_certificates import verify as certificate_checks
from marketplace.payments.refunds import verify as refund_checks
from marketplace.payments.vouchers import verify as voucher_checks
from marketplace.web.transaction import database

CHECKS: tuple[Check, ...] = (
    *ledger_checks.CHECKS,
    *linkage_checks.CHECKS,
    *payment_checks.CHECKS,
    *deposit_checks.CHECKS,
    *voucher_checks.CHECKS,
    *refund_checks.CHECKS,
    *dispute_checks.CHECKS,
    *closing_checks.CHECKS,
    *payout_checks.CHECKS,
    *collecting_checks.CHECKS,
    *certificate_checks.CHECKS,
    *interest_checks.CHECKS,
    *invoice_checks.CHECKS,
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


@click.group("audit")
def audit() -> None:
    """The auditors' work."""


@audit.command("recompute")
@with_appcontext
def recompute() -> None:
    """Derive entitlements, pools, credits, reversals and guarantees again and compare; changes nothing.

    From evidence, terms, sales and events alone: stored amounts are only compared.
    """
    with database().reading() as session:
        report = recompute_everything(session)
    for kind in Kind:
        mark = "×" if report.differing[kind] else "✓"
        click.echo(f"{mark} {kind.value:<14} {report.compared[kind]:>9}  {kind.label}")
    for difference in report.first:
        click.echo(f"    {_difference_words(difference)}")
    if report.agrees:
        click.echo("重新计算的结果与存储的全部一致")
        return
    total = report.differing.total()
    click.echo(
        f"{total} 处与重新计算的结果不一致" + (f"，以上是前 {MOST_KEPT} 处" if total > MOST_KEPT else "")
    )
    raise SystemExit(1)


def _difference_words(difference: Difference) -> str:
    """The difference in Chinese: which row, what is stored and what should be."""
    where = f"{difference.kind.label} {' '.join(difference.numbers)}"
    if difference.stored is None:
        return f"{where}：缺少，重算是 {difference.recomputed_fen} 分"
    if difference.recomputed is None:
        return f"{where}：存的是 {difference.stored_fen} 分，重算没有这一笔"
    others = f"，{'、'.join(difference.other_facts)} 不符" if difference.other_facts else ""
    return f"{where}：存的是 {difference.stored_fen} 分，重算是 {difference.recomputed_fen} 分{others}"
