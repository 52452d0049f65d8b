"""Which pages there are: the links of a loaded demo, followed from the front door by a stranger and by each role.

Pages are asked for in process, which is quick. Kept for a browser are those that show something no page kept before
shows: another tag, class or field. So each kind of page is looked at once, and not each row of a list.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from marketplace.demo.accounts import ACCOUNTS
from marketplace.identity.models import User
from tests.conftest import MarketClient

STRANGER = "stranger"
LOOKS = 3  # pages of one address with other values that are looked at, for each who comes by
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
Feature = tuple[str, str, str]


@dataclass
class Stop:
    """A page to look at: who opens it, where it is, and the HTML it answered with."""

    who: str
    path: str
    html: str


@dataclass
class Crawl:
    """The pages to look at, the session cookie of each who comes by, and what could not be opened."""

    stops: list[Stop] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    endpoints: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)  # kinds of addresses that are no pages


class Reader(HTMLParser):
    """The links of a page, and what is peculiar to its content: each tag with each class and its field name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.features: set[Feature] = set()
        self._depth = 0  # inside main, and how deep
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given and "download" not in given:
            self.links.append(given["href"])
        if tag == "main" or self._depth:
            self._depth += tag not in VOID
            name = (
                re.sub(r"\d+", "", given.get("name", ""))
                if tag != "input" or given.get("type") != "hidden"
                else ""
            )
            self.features |= {(tag, one, name) for one in given.get("class", "").split() or [""]}

    def handle_endtag(self, tag: str) -> None:
        self._depth -= bool(self._depth) and tag not in VOID


def crawl(app: Flask, session: Session, *, language: str) -> Crawl:
    """Follow every link of a loaded demo as a stranger and as each ready account, reading `language`.

    `broken` lists the links that answer with an error.
    """
    found, known = Crawl(), dict[str, set[Feature]]()
    users = {name: session.scalars(select(User).where(User.login_name == name)).one() for name in ACCOUNTS}
    for name in (STRANGER, *users):
        client = app.test_client()
        assert isinstance(client, MarketClient)
        client.set_cookie("lang", language)
        if name in users:
            client.sign_in(users[name])
        _walk(app, client, name, found, known)
        cookie = client.get_cookie("session")
        if cookie is not None and name in users:
            found.cookies[name] = cookie.value
    return found


def _walk(app: Flask, client: FlaskClient, name: str, found: Crawl, known: dict[str, set[Feature]]) -> None:
    first = "/" if name == STRANGER else "/desk"
    queue, queued, looks = deque([first]), {first}, Counter[str]()
    while queue:
        path = queue.popleft()
        kind = _kind_of(app, path)
        if kind is None or kind in found.files or looks[kind] >= LOOKS:
            continue
        looks[kind] += 1
        with client.get(path) as response:
            if response.status_code >= 400:
                found.broken.append(f"{name} {path}: {response.status_code}")
            if response.status_code == 200 and response.mimetype == "text/html":
                queue.extend(_new(_take(found, known, Stop(name, path, response.text), kind), path, queued))
            elif response.status_code == 200:
                found.files.add(kind)
            else:
                queue.extend(_new([response.headers.get("Location", "")], path, queued))


def _take(found: Crawl, known: dict[str, set[Feature]], stop: Stop, kind: str) -> list[str]:
    """Keep the page if it shows anything new, or is the first of somebody; return its links."""
    reader, endpoint = Reader(stop.html), kind.removesuffix("?")
    found.endpoints.add(endpoint)
    is_first = not found.stops or found.stops[-1].who != stop.who
    if is_first or not reader.features <= known.setdefault(endpoint, set()):
        known.setdefault(endpoint, set()).update(reader.features)
        found.stops.append(stop)
    return reader.links


def _new(links: list[str], path: str, queued: set[str]) -> Iterator[str]:
    """The links to this site that were not met before."""
    for link in links:
        parts = urlsplit(urljoin(f"http://localhost{path}", link))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if link and parts.scheme == "http" and parts.netloc == "localhost" and target not in queued:
            queued.add(target)
            yield target


def _kind_of(app: Flask, path: str) -> str | None:
    """The endpoint, with a mark when there are arguments; None for files and for addresses that lead nowhere."""
    parts = urlsplit(path)
    try:
        endpoint, _ = app.url_map.bind("localhost").match(parts.path)
    except HTTPException:
        return "nowhere" if not parts.path.startswith("/static/") else None
    return None if endpoint == "static" else f"{endpoint}?" if parts.query else endpoint
