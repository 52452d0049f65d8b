"""Fruit, whole, cut and dried, and what it lies in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from PIL import Image

from marketplace.demo.pictures.backdrops import draw_leaf
from marketplace.demo.pictures.canvas import (
    Canvas,
    Colour,
    darker,
    ellipse_points,
    lighter,
    mix,
    new_stamp,
    rgb,
)

LEAF = rgb("#4f8f4b")


@dataclass(frozen=True)
class Fruit:
    """How a fruit looks: skin, flesh, its width to its height, whether the skin has pores and a navel."""

    skin: Colour
    flesh: Colour
    radius: float
    tall: float = 1.0
    pores: bool = True
    navel: bool = False


NAVEL_ORANGE = Fruit(rgb("#f08a1d"), rgb("#fba83a"), 104, navel=True)
BLOOD_ORANGE = Fruit(rgb("#e8702a"), rgb("#b7263a"), 96)
TANGERINE = Fruit(rgb("#f59a23"), rgb("#fdb34d"), 86, tall=0.84)
KUMQUAT = Fruit(rgb("#f3a51e"), rgb("#fbc04f"), 48, tall=1.22)
POMELO = Fruit(rgb("#cfc652"), rgb("#ee8f83"), 150, tall=1.06)
PASSION_FRUIT = Fruit(rgb("#6a3352"), rgb("#f2b62d"), 74, pores=False)


def whole(rng: Random, fruit: Fruit) -> Image.Image:
    """A stamp of one fruit, lit from the upper left."""
    r, tall = fruit.radius, fruit.tall
    side = int(r * max(1, tall) * 2 + 8)
    skin = mix(fruit.skin, (255, 220, 120), rng.uniform(0, 0.08))

    def paint(sheet: Canvas) -> None:
        x = y = side / 2
        steps = 14
        for step in range(steps):
            t = step / (steps - 1)
            shade = mix(darker(skin, 0.24), lighter(skin, 0.16), t**0.8)
            grown = 1 - 0.82 * t
            sheet.ellipse(x - r * 0.26 * t, y - r * tall * 0.28 * t, r * grown, r * tall * grown, shade)
        if fruit.pores:
            for _ in range(int(r * 0.9)):
                turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * 0.9
                px, py = x + r * far * math.cos(turn), y + r * tall * far * math.sin(turn)
                sheet.ellipse(px, py, 1.5, 1.2, (*darker(skin, 0.3), 80))
        sheet.ellipse(
            x - r * 0.36, y - r * tall * 0.46, r * 0.26, r * tall * 0.13, (255, 255, 255, 92), angle=-32
        )
        if fruit.navel:
            nx, ny = x + r * 0.30, y + r * 0.20
            sheet.ellipse(nx, ny, r * 0.16, r * 0.13, (*darker(skin, 0.30), 150))
            sheet.ellipse(nx, ny - 1, r * 0.10, r * 0.08, lighter(skin, 0.10))
            sheet.line([(nx - r * 0.06, ny), (nx + r * 0.05, ny + 1)], (*darker(skin, 0.4), 190), 2)
        else:
            sheet.ellipse(x, y - r * tall * 0.86, r * 0.10, r * 0.05, (*darker(LEAF, 0.25), 255))

    return new_stamp(rng, side, side, paint)


def half(rng: Random, fruit: Fruit) -> Image.Image:
    """A stamp of one cut half, seen from the cut."""
    r, tall = fruit.radius, fruit.tall
    side = int(r * max(1, tall) * 2 + 8)
    pith = lighter(mix(fruit.skin, (255, 240, 200), 0.75), 0.3)

    def paint(sheet: Canvas) -> None:
        x = y = side / 2
        sheet.ellipse(x, y, r, r * tall, darker(fruit.skin, 0.10))
        sheet.ellipse(x - 1, y - 2, r * 0.97, r * tall * 0.97, fruit.skin)
        sheet.ellipse(x, y, r * 0.90, r * tall * 0.90, pith)
        count = 10
        for wedge in range(count):
            _wedge(sheet, x, y, r * 0.83, tall, fruit.flesh, (wedge + 0.5) * 360 / count, 360 / count - 5)
        sheet.ellipse(x, y, r * 0.07, r * tall * 0.07, pith)

    return new_stamp(rng, side, side, paint)


def _wedge(
    sheet: Canvas, x: float, y: float, r: float, tall: float, flesh: Colour, angle: float, wide: float
) -> None:
    turns = [math.radians(angle + wide * (t / 8 - 0.5)) for t in range(9)]
    tip = math.radians(angle)
    start = (x + r * 0.14 * math.cos(tip), y + r * 0.14 * tall * math.sin(tip))
    rim = [(x + r * math.cos(t), y + r * tall * math.sin(t)) for t in turns]
    shade = mix(flesh, lighter(flesh, 0.3), sheet.rng.random() * 0.5)
    sheet.polygon([start, *rim], shade)
    for _ in range(5):
        t = math.radians(angle + wide * sheet.rng.uniform(-0.3, 0.3))
        near, far = sheet.rng.uniform(0.35, 0.6), sheet.rng.uniform(0.68, 0.9)
        sheet.line(
            [(x + r * near * math.cos(t), y + r * near * tall * math.sin(t)),
             (x + r * far * math.cos(t), y + r * far * tall * math.sin(t))],
            (*lighter(flesh, 0.55), 120),
            2.4,
        )  # fmt: skip


def passion_half(rng: Random, fruit: Fruit) -> Image.Image:
    """A cut passion fruit with its seeds."""
    r = fruit.radius
    side = int(r * 2 + 8)

    def paint(sheet: Canvas) -> None:
        x = y = side / 2
        sheet.ellipse(x, y, r, r, fruit.skin)
        sheet.ellipse(x, y, r * 0.88, r * 0.88, rgb("#f6e3d2"))
        sheet.ellipse(x, y, r * 0.74, r * 0.74, darker(fruit.flesh, 0.08))
        for _ in range(26):
            turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * 0.6
            px, py = x + r * far * math.cos(turn), y + r * far * math.sin(turn)
            sheet.ellipse(px, py, 11, 8, (*lighter(fruit.flesh, 0.25), 220), angle=math.degrees(turn))
            sheet.ellipse(px, py, 6, 4, rgb("#3b2a1f"), angle=math.degrees(turn))

    return new_stamp(rng, side, side, paint)


def pile(
    canvas: Canvas,
    fruit: Fruit,
    x: float,
    ground: float,
    rows: tuple[int, ...],
    *,
    leaves: int = 5,
    lying: bool = True,
) -> None:
    """Fruit heaped in rows, the lowest first, a leaf here and there; `lying` on the table or in something."""
    rng = canvas.rng
    r = fruit.radius
    if lying:
        canvas.shadow(x, ground - r * 0.08, r * (rows[0] + 0.2) * 0.92, r * 0.34)
    places = [
        (
            x + (number - (count - 1) / 2) * r * 1.78 + rng.uniform(-5, 5),
            ground - r * fruit.tall - level * r * fruit.tall * 1.46,
        )
        for level, count in enumerate(rows)
        for number in range(count)
    ]
    for px, py in places:
        canvas.stamp(whole(rng, fruit), px, py, angle=rng.uniform(-25, 25))
    for px, py in sorted(places, key=lambda place: place[1])[:leaves]:
        top = py - r * fruit.tall * 0.84
        canvas.line([(px, top + 4), (px + rng.uniform(-4, 4), top - r * 0.14)], darker(LEAF, 0.45), r * 0.07)
        for side in (-1, 1)[: rng.choice((1, 2))]:
            turn = -90 + side * rng.uniform(42, 74)
            draw_leaf(
                canvas,
                px,
                top - r * 0.06,
                length=r * rng.uniform(0.8, 1.05),
                angle=turn,
                colour=LEAF,
                wide=0.26,
            )


def halves(canvas: Canvas, fruit: Fruit, places: list[tuple[float, float]]) -> None:
    """Cut halves leaning on the table at the given places (middle of each)."""
    for x, y in places:
        canvas.shadow(x + 6, y + fruit.radius * fruit.tall * 0.93, fruit.radius * 0.86, fruit.radius * 0.16)
        draw = passion_half if fruit is PASSION_FRUIT else half
        canvas.stamp(draw(canvas.rng, fruit), x, y, angle=canvas.rng.uniform(0, 30))


def dried_slice(rng: Random, fruit: Fruit) -> Image.Image:
    """A stamp of one dried slice: thin, darker, a little translucent."""
    r = fruit.radius
    side = int(r * 2 + 8)

    def paint(sheet: Canvas) -> None:
        x = y = side / 2
        wavy = [
            (px + rng.uniform(-2.5, 2.5), py + rng.uniform(-2.5, 2.5))
            for px, py in ellipse_points(x, y, r, r * 0.96, steps=18)
        ]
        sheet.blob(wavy, darker(fruit.skin, 0.22))
        sheet.ellipse(x, y, r * 0.88, r * 0.85, lighter(mix(fruit.skin, (240, 190, 90), 0.4), 0.12))
        for wedge in range(9):
            _wedge(sheet, x, y, r * 0.82, 0.96, darker(fruit.flesh, 0.06), (wedge + 0.5) * 40, 33)
        sheet.ellipse(x, y, r * 0.10, r * 0.10, darker(fruit.skin, 0.3))

    return new_stamp(rng, side, side, paint)


def basket(canvas: Canvas, x: float, top: float, ground: float, width: float, colour: Colour) -> None:
    """A woven bamboo basket, seen from the side; what lies in it is drawn before."""
    narrow = width * 0.80
    canvas.shadow(x, ground - 4, narrow * 0.62, 30)
    height = ground - top
    shape = [
        (x - width / 2, top),
        (x + width / 2, top),
        (x + narrow / 2 + 6, ground - 24),
        (x + narrow / 2 - 24, ground),
        (x - narrow / 2 + 24, ground),
        (x - narrow / 2 - 6, ground - 24),
    ]
    canvas.gradient(shape, lighter(colour, 0.12), darker(colour, 0.16))

    def weave(sheet: Canvas) -> None:
        rows = max(3, round(height / 26))
        for row in range(rows):
            y = top + 14 + row * (height - 16) / rows
            for column in range(-1, round(width / 42) + 1):
                left = x - width / 2 + column * 42 + (21 if row % 2 else 0)
                sheet.box(left + 3, y, left + 38, y + 15, (*lighter(colour, 0.30), 255), radius=7)
                sheet.box(left + 3, y + 9, left + 38, y + 15, (*darker(colour, 0.10), 120), radius=6)

    canvas.within(shape, weave)
    canvas.box(x - width / 2 - 12, top - 12, x + width / 2 + 12, top + 14, darker(colour, 0.12), radius=13)
    canvas.box(x - width / 2 - 12, top - 12, x + width / 2 + 12, top + 1, lighter(colour, 0.20), radius=9)


def crate(canvas: Canvas, x: float, top: float, ground: float, width: float, label: str) -> None:
    """A wooden crate with slats and burnt-in words; what lies in it is drawn before."""
    wood = rgb("#cf9a5b")
    left, right = x - width / 2, x + width / 2
    canvas.shadow(x, ground - 2, width * 0.54, 26)
    slats = 3
    height = (ground - top) / slats
    for slat in range(slats):
        y = top + slat * height
        shade = mix(wood, lighter(wood, 0.25), canvas.rng.random() * 0.7)
        canvas.gradient(
            [(left, y), (right, y), (right, y + height - 8), (left, y + height - 8)],
            lighter(shade, 0.12),
            darker(shade, 0.08),
        )
        for _ in range(4):
            gy, start = y + canvas.rng.uniform(8, height - 18), left + canvas.rng.uniform(10, width * 0.6)
            canvas.line(
                [(start, gy), (start + canvas.rng.uniform(60, width * 0.3), gy + 1)],
                (*darker(wood, 0.4), 60),
                1.8,
            )
    for post in (left + 6, right - 40):
        canvas.box(post, top - 4, post + 34, ground + 2, darker(wood, 0.16), radius=3)
        for slat in range(slats):
            canvas.ellipse(post + 17, top + slat * height + height / 2 - 4, 4, 4, darker(wood, 0.5))
    if label:
        canvas.text(
            x, (top + ground) / 2 - 3, label, min(60, width * 0.7 / len(label)), (*darker(wood, 0.62), 235)
        )
