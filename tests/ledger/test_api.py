"""Entries over HTTP: by cursor, by number, each reader its own; nothing internal leaks out."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from marketplace.identity.models import Role, User
from marketplace.ledger.models import EntryKind
from marketplace.ledger.posting import post_entries, post_entry
from marketplace.registry.models import Cooperative, Household
from tests.conftest import MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.ledger.conftest import Parties

ENTRIES = "/api/v1/entries/"


def clerk_of(session: Session, cooperative_id: int) -> User:
    organisation = session.get_one(Cooperative, cooperative_id).organisation
    user: User = UserFactory(granted=(Role.COOPERATIVE_CLERK,), organisation=organisation)
    return user


def followed(client: MarketClient, **asked: Any) -> list[list[str]]:
    """The numbers on each page, following the cursor to the end."""
    pages = []
    while True:
        answer = client.get(ENTRIES, query_string=asked).get_json()
        pages.append([item["no"] for item in answer["items"]])
        if answer["next"] is None:
            return pages
        asked["after"] = answer["next"]


def test_an_auditor_follows_all_entries_by_cursor(client: MarketClient, session: Session, parties: Parties):
    numbers = [
        entry.public_no for entry in post_entries(session, [parties.paid(f"payment:{n}") for n in range(5)])
    ]
    client.sign_in(official_with(Role.AUDITOR))
    assert followed(client, limit=2) == [numbers[:2], numbers[2:4], numbers[4:]]
    assert followed(client, limit=5) == [numbers]
    assert followed(client, kind="refund") == [[]]


def test_an_entry_names_its_accounts_by_public_numbers(
    client: MarketClient, session: Session, parties: Parties
):
    entry = post_entry(session, parties.settled(shares=(300,)))
    client.sign_in(clerk_of(session, parties.coop))
    cooperative = session.get_one(Cooperative, parties.coop).public_no
    household = session.get_one(Household, parties.first).public_no
    payable = {"kind": "cooperative_payable", "cooperative": cooperative}

    answer = client.get(f"{ENTRIES}{entry.public_no}")
    assert answer.status_code == 200
    found = answer.get_json()
    assert found["transfers"] == [
        {
            "position": 1,
            "debit": {"kind": "order_escrow", "cooperative": cooperative},
            "credit": payable,
            "amount_fen": 10_000,
        },
        {
            "position": 2,
            "debit": payable,
            "credit": {"kind": "household_payable", "cooperative": cooperative, "household": household},
            "amount_fen": 300,
        },
    ]
    assert (found["no"], found["kind"], found["about"]) == (entry.public_no, "line_settled", "order_line")
    assert (found["cooperative"], found["reverses"], found["reason"]) == (cooperative, None, "")
    assert found["occurred_at"] == "2026-06-01T04:00:00+00:00"


def test_a_correction_names_the_entry_it_reverses(client: MarketClient, session: Session, parties: Parties):
    first = post_entry(session, parties.paid())
    back = post_entry(
        session, parties.paid("back", kind=EntryKind.REVERSAL, reverses=first.id, reason="重复收款")
    )
    client.sign_in(official_with(Role.AUDITOR))
    found = client.get(f"{ENTRIES}{back.public_no}").get_json()
    assert (found["reverses"], found["reason"]) == (first.public_no, "重复收款")


def test_a_cooperative_neither_lists_nor_opens_the_entries_of_another(
    client: MarketClient, session: Session, parties: Parties
):
    entry = post_entry(session, parties.paid())
    client.sign_in(clerk_of(session, parties.other_coop))
    assert followed(client) == [[]]
    for path in (f"{ENTRIES}{entry.public_no}", f"{ENTRIES}?after={entry.public_no}", f"{ENTRIES}J-FORGED"):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


@pytest.mark.parametrize("role", [Role.STAFF_BUYER, Role.HOUSEHOLD])
def test_others_are_refused(client: MarketClient, session: Session, parties: Parties, role: Role):
    entry = post_entry(session, parties.paid())
    client.sign_in(UserFactory(granted=(role,)))
    for path in (ENTRIES, f"{ENTRIES}{entry.public_no}"):
        assert client.get(path).status_code == 403


def test_a_visitor_is_asked_to_sign_in(client: MarketClient):
    answer = client.get(ENTRIES)
    assert (answer.status_code, answer.get_json()["code"]) == (401, "sign_in_required")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=many", "kind=unknown", "after="])
def test_a_question_that_makes_no_sense_is_refused(client: MarketClient, session: Session, query: str):
    client.sign_in(official_with(Role.AUDITOR))
    answer = client.get(f"{ENTRIES}?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_entries_cannot_be_written_over_http(
    client: MarketClient, session: Session, parties: Parties, method: str
):
    entry = post_entry(session, parties.paid())
    client.sign_in(official_with(Role.AUDITOR))
    for path in (ENTRIES, f"{ENTRIES}{entry.public_no}"):
        assert client.open(path, method=method.upper(), json={}).status_code == 405
