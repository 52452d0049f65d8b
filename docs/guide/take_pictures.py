"""Take the pictures of the guides and of the README from a running demo: static/guide/<language>/*.webp on a phone, in
both languages, and docs/pictures/*.webp on a desk.

`make run` in one window, `make pictures` in another.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from marketplace.demo.accounts import ACCOUNTS, PASSWORD

TOP = Path(__file__).resolve().parents[2]
LANGUAGES = {"zh": "zh_CN", "en": "en"}
PHONE = ViewportSize(width=390, height=780)
DESK = ViewportSize(width=1280, height=900)


class View(NamedTuple):
    """What a picture shows: the page `who` opens at `path`, or the one its first link matching `first` leads to."""

    who: str
    path: str
    first: str = ""


A_DESK = ("coop", "clerk", "village", "township", "county", "approver", "receiver", "payer", "operator")
DESKS = {f"{ACCOUNTS[login].value.replace('_', '-')}-desk": View(login, "/desk") for login in A_DESK}
PAGES = {
    "approvals": View("approver", "/approvals"),
    "certificates": View("coop", "/product-certificates"),
    "corrections": View("county", "/corrections"),
    "deliveries": View("receiver", "/deliveries"),
    "evaluations": View("receiver", "/evaluations?state=said"),
    "households": View("village", "/households"),
    "income": View("household", "/my/income"),
    "lots": View("clerk", "/linkage/lots"),
    "orders": View("staff", "/orders"),
    "packing": View("coop", "/packing"),
    "payables": View("payer", "/payables"),
    "payouts": View("clerk", "/payouts"),
    "product": View("staff", "/products", ".product-name a"),
    "products": View("staff", "/products"),
    "purchase-certificates": View("payer", "/purchase-certificates"),
    "ranking": View("supervisor", "/quotas"),
    "recognitions": View("county2", "/recognitions"),
    "reconciliation": View("operator", "/cashier/reconciliation"),
    "region-sales": View("supervisor", "/region-sales"),
    "requests": View("orderer", "/requests"),
    "reviews": View("county", "/reviews"),
    "rosters": View("clerk", "/rosters"),
    "slips": View("household", "/my/slips"),
    "standing": View("orderer", "/standing-orders/coming"),
    "statements": View("operator", "/cashier/statements"),
    "trace": View("auditor", "/audit/"),
    "trail": View("auditor", "/trail"),
    "unallocated": View("auditor", "/linkage/unallocated"),
    "workshop": View("coop", "/workshop/products"),
}
OF_README = {
    "shop": View("staff", "/products"),
    "product": View("staff", "/products", ".product-name a"),
    "packing": View("coop", "/packing"),
    "quota": View("orderer", "/quota"),
    "credit": View("auditor", "/audit/", "main td a[href*='/audit/credits/']"),
    "counties": View("supervisor", "/counties"),
}


def take_all(browser: Browser, address: str) -> None:
    """Every picture, each account signed in once for the guides and once for the README."""
    for login, views in by_account({**DESKS, **PAGES}).items():
        page = browser.new_page(
            viewport=PHONE, base_url=address, device_scale_factor=2, reduced_motion="reduce"
        )
        sign_in(page, login)
        for folder, locale in LANGUAGES.items():
            choose_language(page, locale)
            for name, view in views.items():
                keep(shown(page, view), TOP / "static/guide" / folder / f"{name}.webp", scale=0.75)
        page.close()
    for login, views in by_account(OF_README).items():
        page = browser.new_page(viewport=DESK, base_url=address, reduced_motion="reduce")
        sign_in(page, login)
        choose_language(page, LANGUAGES["zh"])
        for name, view in views.items():
            keep(shown(page, view), TOP / "docs/pictures" / f"{name}.webp", scale=1)
        page.close()


def by_account(views: Mapping[str, View]) -> dict[str, dict[str, View]]:
    """The same views, {who opens them: {name: view}}."""
    found: dict[str, dict[str, View]] = {}
    for name, view in views.items():
        found.setdefault(view.who, {})[name] = view
    return found


def shown(page: Page, view: View) -> bytes:
    """The PNG of what a view shows in the window, once all it loads is there."""
    page.goto(view.path)
    if view.first:
        page.locator(view.first).first.click()
        page.mouse.move(0, 0)
    page.wait_for_load_state("networkidle")
    return page.screenshot()


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


def keep(png: bytes, path: Path, *, scale: float) -> None:
    """Small enough for a slow network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    size = (int(picture.width * scale), int(picture.height * scale))
    picture.resize(size).save(path, "WEBP", quality=72, method=6)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell"), args=["--no-sandbox"]
        )
        take_all(chromium, sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
        chromium.close()
