"""One session a request, one commit a request.

The commit happens inside dispatch, so that a constraint the database refuses still becomes a clean answer. Reads
(GET, HEAD) open a deferred transaction, so that on SQLite they never wait for a writer. Jobs and commands have their
runner here too: these are the only places that commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from marketplace.core.db import session_maker

EXTENSION = "marketplace_database"
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Database:
    """The engine of an app, and its two kinds of session."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writing: sessionmaker[Session] = session_maker(engine)
        self.reading: sessionmaker[Session] = session_maker(engine.execution_options(read_only=True))


class MarketFlask(Flask):
    """Flask whose dispatch ends in the request's one commit."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Answer the request, then commit what its rules changed."""
        answer = super().dispatch_request()
        session: Session | None = g.get("session")
        if session is not None:
            if isinstance(answer, Response) and answer.status_code >= 500:
                session.rollback()
            else:
                session.commit()
        return answer


def init_database(app: Flask, engine: Engine) -> None:
    """Give `app` its database and close each request's session at the end."""
    app.extensions[EXTENSION] = Database(engine)
    app.teardown_appcontext(_close_session)


def database() -> Database:
    """The current app's database."""
    found: Database = current_app.extensions[EXTENSION]
    return found


def current_session() -> Session:
    """The request's session, opened on first use."""
    if "session" not in g:
        kind = database().reading if request and request.method in READS else database().writing
        g.session = kind()
    session: Session = g.session
    return session


def end_reading() -> None:
    """End the request's transaction before something slow, such as a call to a provider.

    What was read stays readable, but is no longer connected to the database.
    """
    _close_session(None)


def writing_session() -> Session:
    """A fresh session that may write, in place of the request's: for a read that learned something worth keeping."""
    end_reading()
    g.session = database().writing()
    session: Session = g.session
    return session


def _close_session(_error: BaseException | None) -> None:
    session: Session | None = g.pop("session", None)
    if session is not None:
        session.close()


@contextmanager
def runner(app: Flask) -> Iterator[Session]:
    """The commit point of a job or a command: commits when the block ends well, else rolls back.

    The app context's `current_session()` inside the block is the same session.
    """
    with app.app_context():
        session = database().writing()
        g.session = session
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
