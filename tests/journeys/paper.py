"""Pages as a person without scripts uses them: reads the words, fills in a form, presses a button, follows a link."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from werkzeug.test import TestResponse

from tests.conftest import MarketClient

VOID = frozenset({"input", "img", "br", "meta", "link", "hr"})
SKIPPED = frozenset({"script", "style"})


@dataclass
class Form:
    """A form as the page shows it: where it goes and what it already holds."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # words, name, value


class _Reader(HTMLParser):
    """Collects the forms, the links and the words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._form: Form | None = None
        self._stack: list[tuple[str, dict[str, str], list[str]]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._form)
        elif tag == "input" and self._form and "name" in given:
            unticked = given.get("type") in {"checkbox", "radio"} and "checked" not in given
            if not unticked and given.get("type") != "file":
                self._form.values[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given.get("name", "")
        elif (
            tag == "option" and self._form and ("selected" in given or self._select not in self._form.values)
        ):
            self._form.values[self._select] = given.get("value", "")
        if tag not in VOID:
            self._stack.append((tag, given, []))

    def handle_data(self, data: str) -> None:
        if any(tag in SKIPPED for tag, _given, _words in self._stack):
            return
        self.words.append(data)
        for _tag, _given, words in self._stack:
            words.append(data)

    def handle_endtag(self, tag: str) -> None:
        while self._stack:
            opened, given, words = self._stack.pop()
            text = " ".join("".join(words).split())
            if opened == "button" and self._form and given.get("type", "submit") == "submit":
                self._form.buttons.append((text, given.get("name", ""), given.get("value", "")))
            elif opened == "textarea" and self._form and "name" in given:
                self._form.values[given["name"]] = "".join(words)
            elif opened == "a" and "href" in given:
                self.links.append((text, given["href"]))
            elif opened == "form":
                self._form = None
            elif opened == "select":
                self._select = ""
            if opened == tag:
                return


class Paper:
    """A page that was answered."""

    def __init__(self, path: str, answer: TestResponse) -> None:
        self.path = path
        self.status = answer.status_code
        reader = _Reader()
        reader.feed(answer.text)
        self.forms, self.links = reader.forms, reader.links
        self.text = " ".join("".join(reader.words).split())

    def has(self, *words: str) -> bool:
        """Whether all of these stand on the page."""
        return all(word in self.text for word in words)

    def link(self, words: str) -> str:
        """Where the link with these words goes."""
        return next(url for text, url in self.links if words in text)

    def button(self, words: str, *, nth: int = 0) -> tuple[Form, tuple[str, str]]:
        """The form of the button with these words, and what pressing it adds."""
        found = [
            (form, (name, value))
            for form in self.forms
            for text, name, value in form.buttons
            if text == words
        ]
        assert len(found) > nth, f"no button {words!r} on {self.path}: {self.text[:600]}"
        return found[nth]


class Visitor:
    """Somebody at a browser. Every page must be answered well unless another status is expected."""

    def __init__(self, client: MarketClient) -> None:
        self.client = client

    def open(self, path: str, *, status: int = 200) -> Paper:
        """Go to an address, and on to where it leads."""
        answer = self.client.get(path)
        for _ in range(5):
            if answer.status_code not in {301, 302, 303}:
                break
            path = urljoin(path, answer.headers["Location"])
            if urlsplit(path).netloc not in {"", "localhost"}:
                break
            answer = self.client.get(path)
        paper = Paper(path, answer)
        assert paper.status in {status, 302, 303}, f"{path}: {paper.status} {paper.text[:400]}"
        return paper

    def press(self, paper: Paper, words: str, *, nth: int = 0, status: int = 200, **typed: object) -> Paper:
        """Fill in the form of a button, press it, and go where it leads."""
        form, (name, value) = paper.button(words, nth=nth)
        filled = {**form.values, **typed, **({name: value} if name else {})}
        path = urljoin(paper.path, form.action or paper.path)
        assert form.method == "post", f"{words!r} only asks"
        has_file = any(isinstance(one, tuple) for one in filled.values())
        kind = "multipart/form-data" if has_file else "application/x-www-form-urlencoded"
        answer = self.client.post(path, data=filled, content_type=kind)
        if answer.status_code in {302, 303}:
            return self.open(urljoin(path, answer.headers["Location"]), status=status)
        paper = Paper(path, answer)
        assert paper.status == status, f"{path}: {paper.status} {paper.text[:600]}"
        return paper
