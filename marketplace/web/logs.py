"""The log: one JSON object a line in production, readable lines elsewhere.

Tracebacks never show the values of variables: those are people's names and numbers.
"""

from __future__ import annotations

import structlog

SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def init_logs(environment: str) -> None:
    """Set up the log of this process."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    machine = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False))
    structlog.configure(processors=[*SHARED, *(machine if environment == "production" else (plain,))])
