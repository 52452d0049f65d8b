"""`flask ordering load`: the policies on terms of payment shipped with the project."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from marketplace.ordering.terms import load_payment_policies
from marketplace.web.transaction import runner


@click.group("ordering")
def ordering() -> None:
    """What orders go by."""


@ordering.command("load")
@with_appcontext
def load() -> None:
    """Add the shipped payment policies where a jurisdiction has none; the places must be there."""
    with runner(current_app) as session:
        added = load_payment_policies(session)
    click.echo(f"{added} payment policies new")
