"""Documents of the demo: a page that says what it stands for, and that it is no real document."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_zh_cn import sans_path

from marketplace.demo.world import World
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.rules import keep_file

PAGE = (620, 877)  # A4 at 75 dots an inch
INK, PAPER, LINE = "#2b2a27", "#fdfbf5", "#c9c2b2"
NOTE = "演示文件，由程序生成，不是真实的证明材料。"


@lru_cache(maxsize=64)
def paper(title: str) -> bytes:
    """A picture (PNG) of a page with a title, some lines and a note."""
    page = Image.new("RGB", PAGE, PAPER)
    pen = ImageDraw.Draw(page)
    width, height = PAGE
    pen.text((width / 2, 110), title, font=_font(30), fill=INK, anchor="mm")
    for place in range(12):
        pen.line(
            (80, 210 + place * 44, width - (80 if place % 4 != 3 else 220), 210 + place * 44),
            fill=LINE,
            width=2,
        )
    pen.rectangle((30, 30, width - 30, height - 30), outline=LINE, width=2)
    pen.text((width / 2, height - 90), NOTE, font=_font(18), fill=INK, anchor="mm")
    out = BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(sans_path()), size)


def keep_paper(world: World, actor: Actor, title: str) -> StoredFile:
    """Keep such a page for the actor's organisation, sealed as uploaded documents are."""
    return keep_file(
        world.session,
        actor,
        world.tools.files,
        content=paper(title),
        name=f"{title}.png",
        media_type="image/png",
        sealed=True,
    )
