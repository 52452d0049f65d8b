"""GET /healthz: whether every part that serves a reader is up, for a load balancer and for people.

200 when all are, 503 with the reason when one is down. A room adds a part of its own with `add_check`. Says nothing
about data.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from flask import Blueprint, Flask, Response, current_app, jsonify
from sqlalchemy import text

from marketplace.web.jobs import current_jobs
from marketplace.web.transaction import current_session, database

EXTENSION = "marketplace_health"
SILENT_WORKER = timedelta(seconds=150)  # it beats once a minute
bp = Blueprint("health", __name__)
log = structlog.get_logger()

Check = Callable[[], dict[str, Any]]


class Down(Exception):
    """A part that is down; the text is the reason shown."""


def check_database() -> dict[str, Any]:
    """Whether a query is answered."""
    current_session().execute(text("SELECT 1"))
    return {"engine": database().engine.dialect.name}


def check_worker() -> dict[str, Any]:
    """Whether a worker gave a sign of life lately."""
    age = current_jobs().heartbeat_age()
    if age is None:
        raise Down("no worker has started")
    seconds = round(age.total_seconds())
    if age > SILENT_WORKER:
        raise Down(f"no sign of life for {seconds} seconds")
    return {"heartbeat_age_seconds": seconds}


def check_queue() -> dict[str, Any]:
    """Whether the queue can be read, and how long it is."""
    return {"waiting": current_jobs().waiting()}


def init_health(app: Flask) -> None:
    """Set up the checks every deployment has."""
    app.extensions[EXTENSION] = {"database": check_database, "worker": check_worker, "queue": check_queue}


def add_check(app: Flask, name: str, check: Check) -> None:
    """Add a part: `check()` returns what to show, and raises Down with the reason, or anything else, when down."""
    app.extensions[EXTENSION][name] = check


def _state_of(name: str, check: Check) -> dict[str, Any]:
    try:
        return {"status": "ok", **check()}
    except Down as reason:
        return {"status": "down", "reason": str(reason)}
    except Exception as error:
        log.exception("health_check_failed", part=name)
        return {"status": "down", "reason": type(error).__name__}


@bp.get("/healthz")
def healthz() -> Response:
    """Every part and its state."""
    checks: dict[str, Check] = current_app.extensions[EXTENSION]
    parts = {name: _state_of(name, check) for name, check in checks.items()}
    reasons = [f"{name}: {part['reason']}" for name, part in parts.items() if part["status"] == "down"]
    answer = jsonify({"status": "down" if reasons else "ok", "reason": "; ".join(reasons), **parts})
    answer.status_code = 503 if reasons else 200
    answer.headers["Cache-Control"] = "no-store"
    return answer
