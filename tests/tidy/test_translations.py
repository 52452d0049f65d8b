"""The English catalogue holds every string of code and pages, nothing else, with the same placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import _parse_mapping_toml as parse_mapping, parse_keywords
from babel.messages.pofile import read_po
from babel.support import Translations

TOP = Path(__file__).resolve().parents[2]
CATALOGUE = TOP / "marketplace/translations/en/LC_MESSAGES/messages.po"
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|\{(\w*)\}")
HANZI = re.compile(r"[\u4e00-\u9fff]")
TO_BE_TYPED = re.compile(
    "“[^”]*”"
)  # words of a sheet or a bank file that the reader must find or type as they are


def messages_of_the_source() -> Iterator[tuple[str | tuple[str, ...], str]]:
    """Each message with a place it comes from; those that count something are pairs."""
    with (TOP / "pyproject.toml").open("rb") as file:
        methods, options = parse_mapping(file, style="pyproject.toml")
    keywords = {**DEFAULT_KEYWORDS, **parse_keywords(["N_", "NN_:1,1", "counted:1,1", "lazy_gettext", "_l"])}
    for room in ("marketplace", "templates"):
        mapped = [
            (pattern.removeprefix(f"{room}/"), method)
            for pattern, method in methods
            if pattern.startswith(room)
        ]
        given = {pattern.removeprefix(f"{room}/"): choice for pattern, choice in options.items()}
        for name, line, message, _comments, _context in extract_from_dir(TOP / room, mapped, given, keywords):
            yield message, f"{room}/{name}:{line}"


def strings_of_the_source() -> dict[str, str]:
    """Each msgid with a place it comes from."""
    return {first_form(message): place for message, place in messages_of_the_source() if first_form(message)}


def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="en")


def first_form(message: object) -> str:
    return message if isinstance(message, str) else message[0]  # type: ignore[index]


def test_every_string_is_in_the_english_catalogue() -> None:
    known = {first_form(message.id) for message in catalogue() if message.id}
    assert {text: place for text, place in strings_of_the_source().items() if text not in known} == {}


def test_the_site_speaks_what_the_catalogue_says() -> None:
    compiled = Translations.load(CATALOGUE.parents[2], ["en"])
    said = {m.id: m.string for m in catalogue() if m.id and isinstance(m.id, str)}
    assert {msgid: text for msgid, text in said.items() if compiled.gettext(msgid) != text} == {}
    forms = {m.id: list(m.string) for m in catalogue() if m.id and not isinstance(m.id, str)}
    assert {
        ids: texts for ids, texts in forms.items() if [compiled.ngettext(*ids, n) for n in (1, 2)] != texts
    } == {}


def test_no_string_is_left_untranslated() -> None:
    forms = {m.id: [m.string] if isinstance(m.string, str) else list(m.string) for m in catalogue() if m.id}
    assert [msgid for msgid, texts in forms.items() if not all(texts)] == []
    assert [m.id for m in catalogue() if m.id and m.fuzzy] == []
    assert [
        msgid
        for msgid, texts in forms.items()
        if any(HANZI.search(TO_BE_TYPED.sub("", text)) for text in texts)
    ] == []


def test_a_counted_string_is_always_asked_for_with_its_count() -> None:
    """Without a count the form for one would show, or the Chinese."""
    counted = {message[0] for message, _place in messages_of_the_source() if not isinstance(message, str)}
    plain = {
        message: place
        for message, place in messages_of_the_source()
        if isinstance(message, str) and message in counted
    }
    assert plain == {}


def test_translations_keep_the_placeholders() -> None:
    wrong = []
    for message in catalogue():
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        wanted = set(PLACEHOLDER.findall(first_form(message.id)))
        if message.id and any(not set(PLACEHOLDER.findall(text)) <= wanted for text in texts):
            wrong.append(message.id)
    assert wrong == []


def test_the_catalogue_holds_nothing_else() -> None:
    used = strings_of_the_source()
    assert [message.id for message in catalogue() if message.id and first_form(message.id) not in used] == []
