"""What a newcomer sees first, in a real browser, under the strict content policy."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import DESK, PHONE, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.databases("sqlite")]


@pytest.mark.parametrize(("size", "language"), [(DESK, "zh_CN"), (PHONE, "en")], ids=["desk", "phone"])
def test_the_sign_in_page_fits_the_screen(open_page: OpenPage, size: tuple[int, int], language: str) -> None:
    page = open_page(size=size, language=language)
    answer = page.goto("/sign-in")
    assert answer is not None
    assert answer.status == 200
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator("html").get_attribute("lang") == {"zh_CN": "zh-CN", "en": "en"}[language]
    assert page.locator("form[method=post] input[type=password]").is_visible()


def test_the_sign_in_page_works_without_scripts(open_page: OpenPage) -> None:
    page = open_page(scripts=False)
    page.goto("/sign-in")
    page.locator("input[name=login_name]").fill("nobody")
    page.locator("input[type=password]").fill("wrong-password-1")
    page.locator("main button[type=submit], main form button").first.click()
    assert page.locator("[role=alert], .invalid-feedback").first.is_visible()
