"""The sweep of group purchases (see web/jobs.py)."""

from __future__ import annotations

from marketplace.procurement.group_purchases.closing import close_next_group
from marketplace.web.jobs import Job

JOBS = (Job("close group purchases", close_next_group),)
