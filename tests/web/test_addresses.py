"""A form that says where to go on cannot send anybody to another site."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from marketplace.web.addresses import own_path
from tests.conftest import MarketClient

ELSEWHERE = [
    "https://evil.test/", "//evil.test", "/\\evil.test", "\\\\evil.test", "/\t/evil.test", "/\n/evil.test",
    "/\t\\evil.test", "\t//evil.test", " //evil.test", "javascript:alert(1)", "evil.test", "", "/x\r\nSet-Cookie: a=b",
]  # fmt: skip


@pytest.mark.parametrize("asked", [*ELSEWHERE, None])
def test_another_site_is_never_gone_to(asked: str | None) -> None:
    assert own_path(asked, "/desk") == "/desk"


@pytest.mark.parametrize(
    "asked", ["/", "/orders/X-1", "/products?q=茶油&page=2", "/a//b#c", "/products?q=%E8%8C%B6"]
)
def test_a_path_of_this_site_is_gone_to(asked: str) -> None:
    assert own_path(asked, "/desk") == asked


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("asked", ELSEWHERE)
def test_choosing_a_language_leads_nowhere_else(client: MarketClient, session: Session, asked: str) -> None:
    answer = client.post("/language", data={"locale": "en", "next": asked})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
