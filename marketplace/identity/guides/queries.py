"""The guides as they stand in docs/guide/<language>/<role>.md: their title and their HTML.

Written for people and for the page alike: a picture is named by its place in this tree, so that it is also seen where
the files are read as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from marketplace.core.errors import NotFound
from marketplace.identity.models import Role

FOLDER = Path(__file__).resolve().parents[3] / "docs/guide"
LANGUAGES = {"zh_CN": "zh", "en": "en"}
STATIC = re.compile(r"^(\.\./)+static/")


@dataclass(frozen=True)
class Guide:
    """A guide: `html` is safe, what stands in the file is never taken for tags."""

    title: str
    html: str


def read_guide(role: Role, locale: str, *, address_of: Callable[[str], str], folder: Path = FOLDER) -> Guide:
    """The guide of a role in the reader's language; `address_of` gives the address of a file under static/.

    Raises NotFound when there is none.
    """
    path = folder / LANGUAGES[locale] / f"{role.value}.md"
    if not path.is_file():
        raise NotFound
    text = _text(path, path.stat().st_mtime_ns)
    tokens = (markdown := MarkdownIt("commonmark", {"html": False})).parse(text)
    for image in _images(tokens):
        image.attrSet("src", address_of(STATIC.sub("", str(image.attrGet("src")))))
        image.attrSet("loading", "lazy")
    title = tokens[1].content
    renderer = markdown.renderer
    assert isinstance(renderer, RendererHTML)
    return Guide(title, renderer.render(tokens[3:], markdown.options, {}))


@lru_cache(maxsize=64)
def _text(path: Path, _written: int) -> str:
    return path.read_text(encoding="utf-8")


def _images(tokens: Sequence[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or () if child.type == "image"]
