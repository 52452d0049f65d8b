"""`flask demo load` and `flask demo accounts`."""

from __future__ import annotations

import time

import click
from flask import current_app
from flask.cli import with_appcontext
from flask_babel import gettext

from config import EMULATOR_FILE
from marketplace.core.errors import DomainError
from marketplace.demo.accounts import demo_accounts
from marketplace.demo.collecting import keep_at_emulator
from marketplace.demo.load import load_demo
from marketplace.demo.scale import SCALES
from marketplace.demo.world import Tools
from marketplace.web.transaction import current_session, runner


@click.group("demo")
def demo() -> None:
    """The demo: a small market with a year behind it."""


@demo.command("load")
@click.option("--scale", type=click.Choice(list(SCALES)), default="small", show_default=True)
@click.option("--seed", default=7, show_default=True, help="The same seed makes the same market.")
@with_appcontext
def load(scale: str, seed: int) -> None:
    """Load the demo into an empty database."""
    settings = current_app.config["SETTINGS"]
    if settings.environment == "production":
        raise click.ClickException("the demo is not for production: its accounts have a public password")
    began = time.monotonic()
    try:
        with runner(current_app._get_current_object()) as session:  # type: ignore[attr-defined]  # noqa: SLF001
            world = load_demo(session, demo_tools(), scale=scale, seed=seed, tell=_say)
            if not settings.stripe_api_key:
                keep_at_emulator(session, settings.data_dir / EMULATOR_FILE)
    except DomainError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    click.echo(f"  {world.timeline.done} steps, {time.monotonic() - began:.0f} s")


def demo_tools() -> Tools:
    """What the rules of the demo need, from the current app."""
    extensions = current_app.extensions
    return Tools(
        data_key=extensions["data_key"],
        files=extensions["files"],
        passwords=extensions["passwords"],
        outcomes=extensions["review_outcomes"],
        webhook_secret=current_app.config["SETTINGS"].stripe_webhook_secret,
    )


def _say(line: str) -> None:
    click.echo(f"  {line}")


@demo.command("accounts")
@with_appcontext
def accounts() -> None:
    """Print a ready account for each role."""
    for account in demo_accounts(current_session()):
        click.echo(
            f"  {account.login_name:<12}{account.password}   {gettext(account.who)} {account.name} {account.at}"
        )
