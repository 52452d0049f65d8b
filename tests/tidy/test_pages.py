"""Every page has an access decision, obeys the content policy, and can be read in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import Environment, nodes

from marketplace.identity.access import FRAMEWORK_ENDPOINTS, PUBLIC, SIGNED_IN

TOP = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((TOP / "templates").rglob("*.html"))
SHOWCASE = "style"  # the living page of macros shows invented people and goods
FORBIDDEN = re.compile(
    r"<style|\sstyle\s*=|<script(?![^>]*\ssrc=)[^>]*>|\son[a-z]+\s*=|javascript:", re.IGNORECASE
)
JINJA_TAGS = re.compile(r"{[{%#].*?[}%#]}", re.DOTALL)
HANZI = re.compile(r"[\u4e00-\u9fff]")
TRANSLATING = {"_", "gettext", "ngettext", "pgettext", "npgettext", "counted"}
JINJA = Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.do"], autoescape=True)


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


@pytest.mark.databases("sqlite")
def test_every_endpoint_has_an_access_decision(app: Flask) -> None:
    undecided = []
    for endpoint, view in app.view_functions.items():
        access = getattr(view, "access", None)
        decided = access in (PUBLIC, SIGNED_IN) or (isinstance(access, frozenset) and access)
        if not decided and endpoint not in FRAMEWORK_ENDPOINTS:
            undecided.append(endpoint)
    assert undecided == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_no_template_needs_an_unsafe_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = JINJA_TAGS.sub(lambda tag: "\n" * tag[0].count("\n"), text).splitlines()
    assert [f"{n}: {line.strip()}" for n, line in enumerate(lines, 1) if FORBIDDEN.search(line)] == []


def untranslated(node: nodes.Node) -> Iterator[str]:
    """Chinese text a template shows without asking for its translation."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in TRANSLATING:
        return
    text = (
        node.data
        if isinstance(node, nodes.TemplateData)
        else node.value
        if isinstance(node, nodes.Const)
        else ""
    )
    if isinstance(text, str) and HANZI.search(text):
        yield f"{node.lineno}: {text.strip()[:60]}"
    for child in node.iter_child_nodes():
        yield from untranslated(child)


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.parent.name != SHOWCASE], ids=name_of)
def test_every_word_of_a_template_can_be_translated(path: Path) -> None:
    assert list(untranslated(JINJA.parse(path.read_text(encoding="utf-8")))) == []
