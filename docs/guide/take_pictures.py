"""Take the pictures of the guides from a running demo, on a phone, in both languages: static/guide/<language>/*.webp.

`make run` in one window, `make pictures` in another.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from marketplace.demo.accounts import ACCOUNTS, PASSWORD

FOLDER = Path(__file__).resolve().parents[2] / "static/guide"
LANGUAGES = {"zh": "zh_CN", "en": "en"}
PHONE = {"width": 390, "height": 780}
DESKS = {login: f"{role.value.replace('_', '-')}-desk" for login, role in ACCOUNTS.items()}
PAGES = {  # name: who opens what
    "income": ("household", "/my/income"),
    "products": ("staff", "/products"),
    "payables": ("payer", "/payables"),
    "trace": ("auditor", "/audit"),
    "ranking": ("supervisor", "/quotas"),
}
WITH_A_PAGE = {
    "household",
    "staff",
    "orderer",
    "auditor",
    "supervisor",
    "county2",
    "operator2",
}  # need no picture of a desk


def take_all(browser: Browser, address: str) -> None:
    """Every picture, each account signed in once."""
    wanted = [(login, name, "/desk") for login, name in DESKS.items() if login not in WITH_A_PAGE]
    wanted += [(login, name, path) for name, (login, path) in PAGES.items()]
    for login in dict.fromkeys(login for login, _, _ in wanted):
        page = browser.new_page(viewport=PHONE, base_url=address, device_scale_factor=2)
        sign_in(page, login)
        for folder, locale in LANGUAGES.items():
            choose_language(page, locale)
            for name, path in [(name, path) for who, name, path in wanted if who == login]:
                page.goto(path)
                keep(page.screenshot(), FOLDER / folder / f"{name}.webp")
        page.close()


def sign_in(page: Page, login: str) -> None:
    """Through the page, with the password of the demo."""
    page.goto("/sign-in")
    page.locator("#login_name").fill(login)
    page.locator("#password").fill(PASSWORD)
    page.locator("#password").press("Enter")
    page.wait_for_url("**/desk")
    first_visit = page.locator(".first-visit button")
    if first_visit.count():
        first_visit.click()


def choose_language(page: Page, locale: str) -> None:
    """By the switch at the foot of the page, which shows the other languages."""
    page.goto("/desk")
    button = page.locator(f".site-foot button[value={locale}]")
    if button.count():
        button.click()


def keep(png: bytes, path: Path) -> None:
    """Small enough for a slow network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(path, "WEBP", quality=72, method=6)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take_all(chromium, sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
        chromium.close()
