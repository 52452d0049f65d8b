"""A person at a browser: follows links, fills in fields, presses buttons, and reads, all by the words on the page.

Words are given as they stand in the source (Chinese) and looked up in the catalogue of the person's language. Every
page a person comes to must fit the screen; with SCREENSHOTS=folder it is also kept there as a picture. What a person
does is counted: each click, filled field, choice, tick, file and typed address is one interaction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from babel.support import Translations
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.factories.identity import PASSWORD
from tests.journeys.conftest import DESK, PHONE, OpenPage

TRANSLATIONS = Path(__file__).resolve().parents[2] / "marketplace/translations"
TRIES = 200
FAULTS = """() => {
  const ids = [...document.querySelectorAll("[id]:not([type=hidden])")].map((one) => one.id);
  const fields = [...document.querySelectorAll("input:not([type=hidden], [type=submit]), select, textarea")];
  return {
    width: document.documentElement.scrollWidth,
    twice: ids.filter((id, place) => ids.indexOf(id) !== place),
    nameless: fields.filter((one) => !one.labels.length && !one.ariaLabel).map((one) => one.name),
  };
}"""
File = tuple[str, bytes]


class Words:
    """What the pages say in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalogue = Translations.load(TRANSLATIONS, [language]) if language != "zh_CN" else None

    def __call__(self, message: str, /, **params: object) -> str:
        text = message
        if self._catalogue is not None:
            if "count" in params:
                text = self._catalogue.ngettext(message, message, int(str(params["count"])))
            if text == message:
                text = self._catalogue.gettext(message)
            assert text != message, f"no {self.language} words for {message!r}: make translations"
        return text % params if params else text


@dataclass
class Theatre:
    """Where a journey is played: the screen, the language, the browsers, and where pictures go, if anywhere."""

    open_page: OpenPage
    words: Words
    size: tuple[int, int]
    shots: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def is_phone(self) -> bool:
        return self.size == PHONE

    def enter(self, name: str) -> Person:
        """Somebody who has not signed in."""
        return Person(self, name, self.open_page(size=self.size, language=self.words.language))

    def sign_in(self, name: str, login_name: str, password: str = PASSWORD) -> Person:
        """Somebody who signs in through the page and sees the desk, or what must be done before."""
        person = self.enter(name)
        person.opens("/sign-in")
        person.types("登录名", login_name)
        person.types("密码", password)
        person.presses("登录", within=person.page.locator("main"))
        return person


class Person:
    """One person with a browser of their own."""

    def __init__(self, theatre: Theatre, name: str, page: Page) -> None:
        self.theatre = theatre
        self.name = name
        self.page = page
        self.words = theatre.words
        self.interactions = 0

    def leaves(self) -> None:
        """Close the browser."""
        self.page.context.close()

    # --- going somewhere ---

    def opens(self, path: str) -> None:
        """Type an address."""
        self.interactions += 1
        self.page.goto(path)
        self._arrive()

    def goes_to(self, place: str) -> None:
        """Use the main navigation, on a phone the bar of tabs, and what it unfolds."""
        bar = self.page.get_by_role(
            "navigation", name=self.words("常用" if self.theatre.is_phone else "主导航"), exact=True
        )
        link = bar.get_by_role("link", name=self.words(place), exact=True)
        if not link.is_visible():
            self.unfolds("更多", within=bar)
        self.clicks(link)

    def takes_up(self, task: str, **params: object) -> None:
        """Go to the desk and take up what waits there."""
        self.goes_to("工作台")
        words = self.words(task, **params)
        self.clicks(self.page.get_by_role("link", name=words))

    def follows(
        self, message: str, /, *, within: Locator | None = None, nth: int = 0, **params: object
    ) -> None:
        """Follow a link with these words."""
        self.follows_text(self.words(message, **params), within=within, nth=nth)

    def follows_text(self, text: str, *, within: Locator | None = None, nth: int = 0) -> None:
        """Follow a link with a text that is nobody's translation: a name, a number."""
        self.clicks((within or self.page).get_by_role("link", name=text, exact=True).nth(nth))

    def clicks(self, there: Locator) -> None:
        """Click what leads to another page, and arrive there."""
        self.interactions += 1
        with self.page.expect_navigation():
            there.click()
        self._arrive()

    def unfolds(self, message: str, /, *, within: Locator | None = None) -> None:
        """Click what shows more of the same page."""
        self.interactions += 1
        (within or self.page).get_by_text(self.words(message), exact=True).click()

    # --- filling in ---

    def types(self, label: str, value: object, *, nth: int = 0, **params: object) -> None:
        """Fill in the field with this label."""
        self.fills(self.field(label, nth=nth, **params), value)

    def fills(self, box: Locator, value: object) -> None:
        """Fill in a field."""
        self.interactions += 1
        box.fill(str(value))

    def picks(self, label: str, option: str, **params: object) -> None:
        """Choose from a list the entry that holds `option`."""
        box = self.field(label, **params)
        value = box.locator("option", has_text=option).first.get_attribute("value")
        self.interactions += 1
        box.select_option(value)

    def ticks(self, label: str) -> None:
        """Tick a box, or choose one of several answers."""
        self.interactions += 1
        self.page.get_by_label(self.words(label), exact=True).check()

    def unticks(self, box: Locator) -> None:
        """Take the tick out of a box."""
        self.interactions += 1
        box.uncheck()

    def attaches(self, label: str, file: File) -> None:
        """Choose a file."""
        self.interactions += 1
        name, content = file
        self.field(label).set_input_files(FilePayload(name=name, mimeType="", buffer=content))

    def field(self, label: str, *, nth: int = 0, **params: object) -> Locator:
        """The field with this label, whether or not it may be left empty."""
        text, optional = self.words(label, **params), self.words("选填")
        exact = re.compile(rf"^\s*{re.escape(text)}\s*({re.escape(optional)}|%)?\s*$")
        return self.page.get_by_label(exact).nth(nth)

    def presses(
        self, message: str, /, *, within: Locator | None = None, nth: int = 0, **params: object
    ) -> None:
        """Press a button that sends something, and arrive where it leads."""
        text = self.words(message, **params)
        self.clicks((within or self.page).get_by_role("button", name=text, exact=True).nth(nth))

    def confirms(self, message: str, answer: str, *, reason: str = "") -> None:
        """Press a button that asks first, and answer the question; with the reason it asks for, if any."""
        self.interactions += 1
        self.page.locator("summary", has_text=self.words(message)).click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        self.keeps_picture("asked")
        if reason:
            self.fills(dialog.get_by_role("textbox"), reason)
        self.presses(answer, within=dialog)

    # --- reading ---

    def sees(self, message: str, /, **params: object) -> None:
        """These words stand on the page."""
        self.reads(self.words(message, **params))

    def reads(self, *texts: str) -> None:
        """These texts stand on the page, in whatever place."""
        for text in texts:
            expect(self.page.locator(".page")).to_contain_text(text)

    def misses(self, message: str, /, role: str = "button") -> None:
        """There is no button (or link) with these words."""
        expect(self.page.get_by_role(role, name=self.words(message), exact=True)).to_have_count(0)  # type: ignore[arg-type]

    def row(self, *texts: str) -> Locator:
        """The one row of a table that holds all of these texts; on a phone it is a card."""
        rows = self.page.get_by_role("row")
        for text in texts:
            rows = rows.filter(has_text=text)
        expect(rows).to_have_count(1)
        return rows

    def waits_for(self, message: str, /, **params: object) -> None:
        """Look again until a job has done its work."""
        text = self.words(message, **params)
        for _ in range(TRIES):
            if text in self.page.locator(".page").inner_text():
                break
            self.page.reload()
        self.reads(text)
        self._arrive()

    # --- what holds on every page ---

    def _arrive(self) -> None:
        width = self.theatre.size[0]
        found = self.page.evaluate(FAULTS)
        assert found["width"] <= width, (
            f"{self.page.url} is {found['width']} px wide on a screen of {width} px"
        )
        assert found["twice"] == [], f"{self.page.url} has these ids twice"
        assert found["nameless"] == [], f"{self.page.url} has fields without a name"
        self.keeps_picture()

    def keeps_picture(self, what: str = "") -> None:
        """Keep a picture of the page where SCREENSHOTS says so."""
        folder = os.environ.get("SCREENSHOTS")
        if not folder:
            return
        path = re.sub(r"[^a-z]+", "-", urlsplit(self.page.url).path.lower()).strip("-")[:40]
        screen = "desk" if self.theatre.size == DESK else "phone"
        named = f"{screen}-{next(self.theatre.shots):03d}-{self.name}-{path or 'home'}{'-' + what if what else ''}.png"
        self.page.screenshot(path=Path(folder) / named, full_page=not what)


def fen(text: str) -> int:
    """The fen of an amount as a page prints it: ¥1,280.50."""
    found = re.search(r"¥\s*([\d,]+)\.(\d\d)", text)
    assert found is not None, f"no amount in {text!r}"
    return int(found[1].replace(",", "")) * 100 + int(found[2])


def yuan(amount_fen: int) -> str:
    """Fen as a page prints them."""
    return f"¥{amount_fen // 100:,}.{amount_fen % 100:02d}"
