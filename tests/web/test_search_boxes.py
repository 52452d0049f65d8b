"""Every search box leads somewhere: its own address answers, and so does the one it asks for suggestions."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask, url_for
from sqlalchemy.orm import Session

from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, User
from marketplace.reporting.navigation import places_of
from tests.conftest import MarketClient
from tests.factories.identity import GOVERNMENT_ROLES, UserFactory, official_with
from tests.factories.registry import (
    BuyerUnitFactory,
    CooperativeFactory,
    HouseholdFactory,
    user_of,
    user_of_household,
)

pytestmark = pytest.mark.databases("sqlite")


class Boxes(HTMLParser):
    """The search forms of a page: address, name of the field, where suggestions come from."""

    def __init__(self, page: str, text: str) -> None:
        super().__init__()
        self.page = page
        self.found: list[dict[str, str]] = []
        self._box: dict[str, str] = {}
        self._is_open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_open = given.get("role") == "search"
            if self._is_open:
                self._box = {
                    "action": given.get("action") or self.page,
                    "suggest": given.get("data-suggest", ""),
                }
        elif tag == "input" and self._is_open and given.get("type") == "search":
            self.found.append({**self._box, "name": given["name"]})


def user_with(role: Role) -> User:
    if role in GOVERNMENT_ROLES or role is Role.OPERATOR:
        return official_with(role)
    if role is Role.HOUSEHOLD:
        return user_of_household(HouseholdFactory())
    if role.value.startswith("cooperative"):
        return user_of(CooperativeFactory(), role)
    if role.value.startswith("unit"):
        return user_of(BuyerUnitFactory(), role)
    return UserFactory(granted=(role,))


def boxes_of(app: Flask, client: MarketClient, user: User | None) -> dict[str, list[dict[str, str]]]:
    """The search boxes on each page the navigation leads to, and on the pages everybody sees."""
    with app.test_request_context():
        endpoints = [place.endpoint for place in places_of(actor_of(user))] if user else []
        pages = ["/", "/products", *(url_for(endpoint) for endpoint in endpoints)]
    found = {}
    for page in pages:
        answer = client.get(page)
        found[page] = Boxes(page, answer.text).found if answer.status_code == 200 else []
    return found


@pytest.mark.parametrize("role", [None, *Role])
def test_every_box_and_what_it_suggests_answer(
    app: Flask, session: Session, client: MarketClient, role: Role | None
) -> None:
    user = user_with(role) if role else None
    if user is not None:
        client.sign_in(user)
    asked: set[tuple[str, str, str]] = set()
    for boxes in boxes_of(app, client, user).values():
        asked |= {(box["action"], box["name"], box["suggest"]) for box in boxes}
    assert ("/products", "q", "/products/suggestions") in asked
    for action, name, suggest in asked:
        for typed in ("茶油", "NO-SUCH-NUMBER", ""):
            query: dict[str, Any] = {name: typed}
            answer = client.get(action, query_string=query)
            assert answer.status_code in (200, 302, 303), (action, typed)
            if suggest:
                offered = client.get(suggest, query_string={"q": typed})
                assert offered.status_code == 200, suggest
                assert "<html" not in offered.text


def test_pages_with_a_box_of_their_own_are_among_them(
    app: Flask, session: Session, client: MarketClient
) -> None:
    """Without this the walk might pass because it meets no other box than the one on top."""
    own: set[tuple[str, str]] = set()
    for role in (Role.AUDITOR, Role.UNIT_RECEIVER):
        user = user_with(role)
        client.sign_in(user)
        for page, boxes in boxes_of(app, client, user).items():
            own |= {(page, box["action"]) for box in boxes if box["action"] != "/products"}
    assert own == {
        ("/audit/", "/audit/"),
        ("/deliveries", "/deliveries/find"),
        ("/linkage/agreements", "/linkage/agreements"),
    }


def test_a_box_without_suggestions_asks_for_none(app: Flask) -> None:
    with app.test_request_context():
        macros = app.jinja_env.get_template("ui/shop.html").make_module({"request": None})
        plain = str(macros.search_box(action="/audit/", name="number"))  # type: ignore[attr-defined]
        offering = str(macros.search_box(suggest="/products/suggestions"))  # type: ignore[attr-defined]
    assert "suggest" not in plain
    assert re.findall(r'data-suggest="([^"]*)"', offering) == ["/products/suggestions"]
