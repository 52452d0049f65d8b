"""`flask search build`: make the search index from the database."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from marketplace.catalog.indexing import rebuild_index
from marketplace.catalog.search.engine import SearchEngine
from marketplace.web.transaction import runner


@click.group("search")
def search() -> None:
    """The search index."""


@search.command("build")
@click.option("--if-absent", is_flag=True, help="Only when there is no index that answers.")
@with_appcontext
def build(*, if_absent: bool) -> None:
    """Replace the index by what is for sale."""
    engine: SearchEngine = current_app.extensions["search"]
    status = engine.status()
    if if_absent and status.ok and status.document_count:
        click.echo(f"search index: {status.document_count} listings")
        return
    with runner(current_app) as session:
        click.echo(f"search index built: {rebuild_index(session, engine)} listings")
