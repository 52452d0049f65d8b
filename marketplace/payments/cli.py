"""`flask payments replay` applies stored notices of the gateway again, `reconcile` compares a day with the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from marketplace.core.clock import SHANGHAI, today
from marketplace.core.money import format_yuan
from marketplace.payments.notices import apply_notices
from marketplace.payments.reconciliation.jobs import reconcile_day
from marketplace.payments.replaying import replay_unknown
from marketplace.web.transaction import runner


@click.group("payments")
def payments() -> None:
    """Money in."""


@payments.command("replay")
@click.option("--everything", is_flag=True, help="also those that wait for a person")
@with_appcontext
def replay(*, everything: bool) -> None:
    """Apply notices of kinds that were not understood again, read anew from what was stored."""
    with runner(current_app) as session:
        found = replay_unknown(session, current_app.extensions["gateway"], everything=everything)
    with runner(current_app) as session:
        while apply_notices(session):
            pass
    click.echo(f"{found} notices applied again")


@payments.command("reconcile")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="a day that is over; yesterday when not given")
@with_appcontext
def reconcile(day: datetime | None) -> None:
    """Compare the provider's balance and the bank's statements with the ledger as of the end of a day."""
    wanted = day.replace(tzinfo=SHANGHAI).date() if day else today() - timedelta(days=1)
    with runner(current_app) as session:
        for run in reconcile_day(session, wanted):
            click.echo(
                f"{run.channel.value} {run.day}: {format_yuan(run.channel_fen)} there,"
                f" {format_yuan(run.ledger_fen)} here, {format_yuan(run.in_transit_fen)} on its way,"
                f" {format_yuan(run.difference_fen)} differs"
            )
