"""Commands of the house: bring the database up to date, and run the parts of the site."""

from __future__ import annotations

import signal
import sys

import click
import waitress
from flask import current_app
from flask.cli import with_appcontext

from marketplace.core.schema import upgrade
from marketplace.web.jobs import current_jobs
from marketplace.web.serve import serve_everything

WEB_THREADS = 8
MOST_CONNECTIONS = 800  # a browser keeps up to six open; what lies idle is closed soon, so that others get in
IDLE_S = 30
SWEEP_S = 10
WORKER_THREADS = 2


@click.command("migrate")
@with_appcontext
def migrate() -> None:
    """Bring the database to the newest migration."""
    upgrade(current_app.config["SETTINGS"].database_url)


@click.command("web")
@with_appcontext
def web() -> None:
    """Answer requests on HOST and PORT."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # waitress ends its requests first
    settings = current_app.config["SETTINGS"]
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - waitress outlives the proxy
    waitress.serve(
        app,
        host=settings.host,
        port=settings.port,
        threads=WEB_THREADS,
        connection_limit=MOST_CONNECTIONS,
        channel_timeout=IDLE_S,
        cleanup_interval=SWEEP_S,
        asyncore_use_poll=True,
        ident=None,
        _quiet=True,
    )


@click.command("worker")
@click.option("--threads", default=WORKER_THREADS, show_default=True, help="How many jobs run at a time.")
@with_appcontext
def worker(threads: int) -> None:
    """Run the jobs."""
    current_jobs().worker(threads).run()


@click.command("job")
@click.argument("name")
@with_appcontext
def job(name: str) -> None:
    """Run the job NAME once, here and now."""
    jobs = current_jobs()
    if name not in jobs.table:
        raise click.BadParameter(f"there are: {', '.join(sorted(jobs.table)) or 'none'}", param_hint="NAME")
    click.echo(f"{name}: {jobs.run(name)} passes")


@click.command("serve")
@with_appcontext
def serve() -> None:
    """Migrate, load the demo if the database is empty, and run the web server, the worker and the card emulator."""
    serve_everything(current_app.config["SETTINGS"])


COMMANDS = (migrate, web, worker, job, serve)
