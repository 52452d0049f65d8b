"""A canvas for flat pictures: smooth shapes, gradients, soft shadows, and stamps that are drawn once and placed.

Coordinates are those of the finished picture, 1200 x 900; everything is drawn twice as large and scaled down at the
end, which smooths the edges.
"""

from __future__ import annotations

import copy
import io
import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pylopdf_fonts_zh_cn import serif_path

WIDTH, HEIGHT = 1200, 900
SCALE = 2
SHADOW_SCALE = 8
QUALITY = 90

Point = tuple[float, float]
Colour = tuple[int, int, int]
Paint = Colour | tuple[int, int, int, int]


def rgb(code: str) -> Colour:
    """A colour written "#rrggbb"."""
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with `share` (0..1) of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.18) -> Colour:
    """`colour` towards a warm dark."""
    return mix(colour, (46, 30, 20), share)


def lighter(colour: Colour, share: float = 0.25) -> Colour:
    """`colour` towards warm white."""
    return mix(colour, (255, 251, 240), share)


def ellipse_points(
    x: float, y: float, rx: float, ry: float, *, angle: float = 0, steps: int = 60
) -> list[Point]:
    """An ellipse around (x, y), turned by `angle` degrees."""
    turn = math.radians(angle)
    return [
        (
            x + rx * math.cos(t) * math.cos(turn) - ry * math.sin(t) * math.sin(turn),
            y + rx * math.cos(t) * math.sin(turn) + ry * math.sin(t) * math.cos(turn),
        )
        for t in (2 * math.pi * step / steps for step in range(steps))
    ]


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 10) -> list[Point]:
    """A soft line through `points` (Catmull-Rom)."""
    count = len(points)
    curve: list[Point] = []
    for i in range(count if closed else count - 1):
        near = [
            points[(i + k) % count] if closed else points[min(max(i + k, 0), count - 1)]
            for k in (-1, 0, 1, 2)
        ]
        for step in range(steps):
            t = step / steps
            curve.append((_spline([p[0] for p in near], t), _spline([p[1] for p in near], t)))
    return curve if closed else [*curve, points[-1]]


def _spline(v: Sequence[float], t: float) -> float:
    return 0.5 * (
        2 * v[1]
        + (v[2] - v[0]) * t
        + (2 * v[0] - 5 * v[1] + 4 * v[2] - v[3]) * t**2
        + (3 * v[1] - v[0] - 3 * v[2] + v[3]) * t**3
    )


def mirrored(half: Sequence[Point], x: float) -> list[Point]:
    """The outline whose right half is `half`, from top to bottom, mirrored at the vertical through `x`."""
    return [*half, *((2 * x - px, py) for px, py in reversed(half))]


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(serif_path()), size)


class Canvas:
    """A drawing surface with `rng`, the only source of chance.

    A canvas for a stamp is clear: only what is painted fully covers. Paint of four values shines through what is there.
    """

    def __init__(
        self, rng: random.Random, width: int = WIDTH, height: int = HEIGHT, *, clear: bool = False
    ) -> None:
        self.rng = rng
        self.width, self.height = width, height
        size = (width * SCALE, height * SCALE)
        self.image = Image.new("RGB", size, (255, 255, 255))
        self.cover = Image.new("L", size, 0) if clear else None
        self.left = self.top = 0
        self.bind()

    def bind(self) -> None:
        """Draw on `image` and `cover` from now on."""
        self._draw = ImageDraw.Draw(self.image, "RGBA")
        self._cover_draw = ImageDraw.Draw(self.cover) if self.cover else None

    def _place(self, points: Sequence[Point]) -> list[Point]:
        return [(x * SCALE - self.left, y * SCALE - self.top) for x, y in points]

    def polygon(self, points: Sequence[Point], paint: Paint) -> None:
        """A filled shape."""
        placed = self._place(points)
        self._draw.polygon(placed, fill=paint)
        if self._cover_draw and _covers(paint):
            self._cover_draw.polygon(placed, fill=255)

    def ellipse(self, x: float, y: float, rx: float, ry: float, paint: Paint, *, angle: float = 0) -> None:
        """A filled ellipse around (x, y)."""
        self.polygon(ellipse_points(x, y, rx, ry, angle=angle, steps=60 if max(rx, ry) > 20 else 20), paint)

    def blob(self, points: Sequence[Point], paint: Paint) -> None:
        """A filled soft shape through `points`."""
        self.polygon(smooth(points), paint)

    def box(
        self, left: float, top: float, right: float, bottom: float, paint: Paint, *, radius: float = 0
    ) -> None:
        """A filled rectangle with round corners."""
        place = self._place([(left, top), (right, bottom)])
        self._draw.rounded_rectangle(place, radius * SCALE, fill=paint)
        if self._cover_draw and _covers(paint):
            self._cover_draw.rounded_rectangle(place, radius * SCALE, fill=255)

    def line(self, points: Sequence[Point], paint: Paint, width: float, *, soft: bool = True) -> None:
        """A line through `points` with round joints."""
        placed = self._place(smooth(points, closed=False) if soft and len(points) > 2 else list(points))
        self._stroke(self._draw, placed, paint, width)
        if self._cover_draw and _covers(paint):
            self._stroke(self._cover_draw, placed, 255, width)

    def _stroke(
        self, draw: ImageDraw.ImageDraw, placed: Sequence[Point], fill: Paint | int, width: float
    ) -> None:
        draw.line(placed, fill=fill, width=max(1, round(width * SCALE)), joint="curve")
        end = width * SCALE / 2
        if end > 1 and (isinstance(fill, int) or _covers(fill)):
            for x, y in (placed[0], placed[-1]):
                draw.ellipse([x - end, y - end, x + end, y + end], fill=fill)

    def gradient(self, points: Sequence[Point], first: Colour, last: Colour, *, across: bool = False) -> None:
        """A shape filled from `first` to `last`, downwards or from left to right."""
        placed = self._place(points)
        left, top = math.floor(min(x for x, _ in placed)), math.floor(min(y for _, y in placed))
        size = (
            math.ceil(max(x for x, _ in placed)) - left + 1,
            math.ceil(max(y for _, y in placed)) - top + 1,
        )
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in placed], fill=255)
        count = size[0] if across else size[1]
        strip = Image.new("RGB", (count, 1) if across else (1, count))
        strip.putdata([mix(first, last, step / max(1, count - 1)) for step in range(count)])
        filled = strip.resize(size, Image.Resampling.NEAREST)
        self.image.paste(filled, (left, top), mask)
        if self.cover:
            self.cover.paste(255, (left, top), mask)

    def shadow(self, x: float, y: float, rx: float, ry: float, strength: float = 0.34) -> None:
        """A soft shadow on the ground around (x, y)."""
        ratio = SCALE / SHADOW_SCALE
        blur = max(2.0, ry * ratio * 0.45)
        margin = blur * 3
        width, height = round((rx * ratio + margin) * 2), round((ry * ratio + margin) * 2)
        mask = Image.new("L", (width, height), 0)
        ImageDraw.Draw(mask).ellipse(
            [margin, margin, width - margin, height - margin], fill=round(255 * strength)
        )
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
        mask = mask.resize((width * SHADOW_SCALE, height * SHADOW_SCALE), Image.Resampling.BILINEAR)
        ((middle, level),) = self._place([(x, y)])
        self.image.paste((58, 38, 24), (round(middle - mask.width / 2), round(level - mask.height / 2)), mask)

    def text(
        self, x: float, y: float, words: str, size: float, paint: Paint, *, downwards: bool = False
    ) -> None:
        """Words centred on (x, y); `downwards` sets one character under the other, as on a tea tin."""
        font = _font(round(size * SCALE))
        signs = list(words) if downwards else [words]
        pitch = size * 1.12
        first = y - pitch * (len(signs) - 1) / 2
        for number, sign in enumerate(signs):
            self._draw.text(
                self._place([(x, first + number * pitch)])[0], sign, font=font, fill=paint, anchor="mm"
            )

    def stamp(self, stamp: Image.Image, x: float, y: float, *, angle: float = 0, size: float = 1) -> None:
        """Place a stamp with its middle on (x, y)."""
        if size != 1:
            stamp = stamp.resize(
                (round(stamp.width * size), round(stamp.height * size)), Image.Resampling.BILINEAR
            )
        if angle:
            stamp = stamp.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        ((middle, level),) = self._place([(x, y)])
        self.image.paste(stamp, (round(middle - stamp.width / 2), round(level - stamp.height / 2)), stamp)

    def within(self, points: Sequence[Point], paint: Callable[[Canvas], None]) -> None:
        """Let `paint` draw over what is there, and keep of it what lies inside the shape `points`."""
        placed = self._place(points)
        left, top = math.floor(min(x for x, _ in placed)), math.floor(min(y for _, y in placed))
        right, bottom = math.ceil(max(x for x, _ in placed)) + 1, math.ceil(max(y for _, y in placed)) + 1
        sheet = copy.copy(self)
        sheet.image, sheet.cover = self.image.crop((left, top, right, bottom)), None
        sheet.left, sheet.top = self.left + left, self.top + top
        sheet.bind()
        paint(sheet)
        mask = Image.new("L", sheet.image.size, 0)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in placed], fill=255)
        self.image.paste(sheet.image, (left, top), mask)
        if self.cover:
            self.cover.paste(255, (left, top), mask)

    def jpeg(self) -> bytes:
        """The finished picture."""
        out = io.BytesIO()
        self.image.reduce(SCALE).save(out, "JPEG", quality=QUALITY, subsampling=0)
        return out.getvalue()


def _covers(paint: Paint) -> bool:
    return len(paint) == 3 or paint[3] == 255


def new_stamp(rng: random.Random, width: int, height: int, paint: Callable[[Canvas], None]) -> Image.Image:
    """A small clear picture drawn by `paint`, to be placed with Canvas.stamp."""
    sheet = Canvas(rng, width, height, clear=True)
    paint(sheet)
    assert sheet.cover is not None
    sheet.image.putalpha(sheet.cover)
    return sheet.image
