"""Sheets of the catalogue that are too long to be checked or taken while somebody waits (see web/jobs.py)."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from marketplace.catalog.sheets.rules import WORK_ON_SHEETS, work_on_next_sheet
from marketplace.catalog.sheets.table import FORMATS
from marketplace.web.jobs import Job


def work_on_sheets(session: Session) -> bool:
    """Check or take the next rows of the oldest sheet."""
    return work_on_next_sheet(session, current_app.extensions["files"], FORMATS)


JOBS = (Job(WORK_ON_SHEETS, work_on_sheets),)
