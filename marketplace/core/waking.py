"""Jobs that a rule has left work for: named with the work, woken by the runner once it is committed.

So whoever calls the rule, a page, another job or a command, need not know what has to follow.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

_KEY = "jobs to wake"


def wake_after_commit(session: Session, job: str) -> None:
    """Have `job` run as soon as the present transaction is committed; asking several times wakes it once."""
    session.info.setdefault(_KEY, {})[job] = None


def jobs_to_wake(session: Session) -> list[str]:
    """The jobs asked for since the last call, in the order of asking."""
    return list(session.info.pop(_KEY, ()))
