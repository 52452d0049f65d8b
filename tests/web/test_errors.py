"""Requests that no page can mean are refused before a database sees them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from tests.conftest import MarketClient


def test_a_nul_byte_is_refused_everywhere(client: MarketClient, session: Session) -> None:
    assert client.get("/products/%00").status_code == 400
    assert client.get("/products?q=a%00b").status_code == 400
    refused = client.get("/api/v1/listings/%00")
    assert (refused.status_code, refused.json["code"]) == (400, "nul_byte")
    assert client.post("/sign-in", data={"login_name": "a\x00b", "password": "x"}).status_code == 400


def test_a_wrong_method_says_which_ones_there_are(client: MarketClient, session: Session) -> None:
    refused = client.post("/api/v1/listings/")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert refused.mimetype == "application/problem+json"


def test_a_page_that_is_not_there_says_so_in_chinese(client: MarketClient, session: Session) -> None:
    missing = client.get("/products/N-0000000000")
    assert missing.status_code == 404
    assert "没有找到这一页或这条记录" in missing.text
