"""`flask registry load`: the places, policies and review steps shipped with the project."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from marketplace.registry.rules import load_policies, load_regions
from marketplace.web.transaction import runner


@click.group("registry")
def registry() -> None:
    """The register's facts."""


@registry.command("load")
@with_appcontext
def load() -> None:
    """Bring the places to the shipped tree; add policies and review steps where a jurisdiction has none."""
    with runner(current_app) as session:
        changed = load_regions(session)
        load_policies(session)
    click.echo(f"{changed} places new or changed")
