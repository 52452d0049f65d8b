"""What every factory shares: the session of the running test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from factory.alchemy import SQLAlchemyModelFactory
from sqlalchemy.orm import Session

_session: ContextVar[Session] = ContextVar("factory_session")


@contextmanager
def using(session: Session) -> Iterator[None]:
    """Let the factories add to `session`."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


class RowFactory(SQLAlchemyModelFactory):
    """Base of the factories: adds to the test's session and flushes, so that the row has its key."""

    class Meta:
        abstract = True
        sqlalchemy_session_factory = _session.get
        sqlalchemy_session_persistence = "flush"
