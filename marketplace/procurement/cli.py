"""`flask procurement load`: the rules of canteens' purchasing shipped with the project."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from marketplace.procurement.quota.policy import load_quota_rules
from marketplace.web.transaction import runner


@click.group("procurement")
def procurement() -> None:
    """What canteens are held to."""


@procurement.command("load")
@with_appcontext
def load() -> None:
    """Add the shipped rules of reserved quotas where a place and year has none."""
    with runner(current_app) as session:
        added = load_quota_rules(session)
    click.echo(f"{added} rules added")
