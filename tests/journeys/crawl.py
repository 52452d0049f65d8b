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
LOOKS = 3  # pages of one kind of address that are looked at, for each who comes by
DULL = 4  # looks that showed nothing new, after which one is enough
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


@dataclass
class Crawl:
    """The pages to look at, the client and the session cookie of each who comes by, and the links that are broken."""

    app: Flask
    stops: list[Stop] = field(default_factory=list)
    clients: dict[str, FlaskClient] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    known: dict[str, set[Feature]] = field(default_factory=dict)  # by endpoint
    dull: Counter[str] = field(
        default_factory=Counter
    )  # looks in a row at this kind of address that showed nothing new
    files: set[str] = field(default_factory=set)  # kinds of addresses that are no pages

    def walk(self, client: FlaskClient, who: str, first: str) -> None:
        """Follow every link from `first` on."""
        queue, queued, looks = deque([first]), {first}, Counter[str]()
        while queue:
            path = queue.popleft()
            kind = self._kind_of(path)
            if kind is None or kind in self.files or looks[kind] >= (1 if self.dull[kind] >= DULL else LOOKS):
                continue
            looks[kind] += 1
            with client.get(path) as response:
                if response.status_code >= 400:
                    self.broken.append(f"{who} {path}: {response.status_code}")
                if response.status_code == 200 and response.mimetype == "text/html":
                    queue.extend(_new(self._take(Stop(who, path, response.text), kind), path, queued))
                elif response.status_code == 200:
                    self.files.add(kind)
                else:
                    queue.extend(_new([response.headers.get("Location", "")], path, queued))

    def read_in(self, language: str) -> list[Stop]:
        """The same pages once more, by readers who by now read `language`."""
        self.clients[STRANGER].set_cookie("lang", language)
        return [Stop(one.who, one.path, self.clients[one.who].get(one.path).text) for one in self.stops]

    def _take(self, stop: Stop, kind: str) -> list[str]:
        """Keep the page if it shows anything new, or is the first of somebody; return its links."""
        reader, known = Reader(stop.html), self.known.setdefault(kind.removesuffix("?"), set())
        is_new = not reader.features <= known
        if is_new or not self.stops or self.stops[-1].who != stop.who:
            self.stops.append(stop)
        known |= reader.features
        self.dull[kind] = 0 if is_new else self.dull[kind] + 1
        return reader.links

    def _kind_of(self, path: str) -> str | None:
        """The endpoint, with a mark when there are arguments; None for files."""
        parts = urlsplit(path)
        try:
            endpoint, _ = self.app.url_map.bind("localhost").match(parts.path)
        except HTTPException:
            return "nowhere"
        return None if endpoint == "static" else f"{endpoint}?" if parts.query else endpoint


def crawl(app: Flask, session: Session) -> Crawl:
    """Follow every link of a loaded demo as a stranger and as each ready account."""
    found = Crawl(app)
    users = {name: session.scalars(select(User).where(User.login_name == name)).one() for name in ACCOUNTS}
    for name in (STRANGER, *users):
        client = app.test_client()
        assert isinstance(client, MarketClient)
        found.clients[name] = client
        if name in users:
            client.sign_in(users[name])
        found.walk(client, name, "/desk" if name in users else "/")
        cookie = client.get_cookie("session")
        if cookie is not None and name in users:
            found.cookies[name] = cookie.value
    return found


def _new(links: list[str], path: str, queued: set[str]) -> Iterator[str]:
    """The links to this site that were not met before."""
    for link in links:
        parts = urlsplit(urljoin(f"http://localhost{path}", link))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        if link and parts.scheme == "http" and parts.netloc == "localhost" and target not in queued:
            queued.add(target)
            yield target
