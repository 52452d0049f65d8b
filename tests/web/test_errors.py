"""Requests that no page can mean are refused before a database sees them."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.identity.trail_details import trail_detail
from marketplace.web.errors import explain
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


def test_a_nul_byte_is_found_behind_the_first_value_of_a_field(
    client: MarketClient, session: Session
) -> None:
    assert client.get("/products?badge=a&badge=b%00").status_code == 400
    assert client.post("/sign-in", data={"login_name": ["a", "b\x00"], "password": "x"}).status_code == 400


@pytest.mark.parametrize("number", ["9" * 5_000, "1000000000", "²", "٣", "-1", "", "5001"])
def test_a_page_of_the_shop_that_nobody_can_mean_is_not_found(
    client: MarketClient, session: Session, number: str
) -> None:
    assert client.get("/products", query_string={"page": number}).status_code == 404


def test_a_value_no_column_can_hold_is_refused_and_not_a_breakdown(app: Flask, session: Session) -> None:
    reason = ValueError("integer out of range")
    with app.test_request_context("/api/v1/listings/"):
        answer = app.make_response(app.handle_user_exception(DataError("INSERT", {}, reason)))
    assert (answer.status_code, answer.get_json()["code"]) == (422, "value_unfit")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("kept", "told"),
    [("2026-05-01", "2026年5月1日"), ("2026-02-30", "2026-02-30"), ("2026-99-99", "2026-99-99")],
)
def test_what_only_looks_like_a_day_is_told_as_it_was_typed(app: Flask, kept: str, told: str) -> None:
    with app.test_request_context():
        assert (
            explain(Conflict("lot_taken", "批次 %(lot)s 已归入另一个产品", lot=kept))
            == f"批次 {told} 已归入另一个产品"
        )
        assert trail_detail({"lot_no": kept}, str) == [f"批次：{told}"]
