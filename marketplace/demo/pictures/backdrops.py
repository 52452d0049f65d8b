"""What stands behind the goods: a wall, a window of hills, a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from marketplace.demo.pictures.canvas import (
    HEIGHT,
    WIDTH,
    Canvas,
    Colour,
    darker,
    lighter,
    mix,
    rgb,
    smooth,
)

TABLE_TOP = 640


@dataclass(frozen=True)
class Palette:
    """The colours of a room: wall, window, hills, table."""

    wall: Colour
    window: Colour
    hills: Colour
    table: Colour


PALETTES = {
    "citrus": Palette(rgb("#fbe6c2"), rgb("#fff4dc"), rgb("#9dbb8d"), rgb("#e8b877")),
    "tea": Palette(rgb("#dbe8d3"), rgb("#f1f6e6"), rgb("#7fa98a"), rgb("#c9a67a")),
    "dawn": Palette(rgb("#f6ddd0"), rgb("#fdf0e4"), rgb("#c69f8f"), rgb("#d3a782")),
    "mist": Palette(rgb("#d5e3e5"), rgb("#edf4f2"), rgb("#86a9a6"), rgb("#b99f80")),
    "paper": Palette(rgb("#f3e9d6"), rgb("#fdf8ec"), rgb("#b5ad8c"), rgb("#c99f6f")),
    "plum": Palette(rgb("#eedfe3"), rgb("#faf1ef"), rgb("#b495a0"), rgb("#c7a189")),
    "straw": Palette(rgb("#f5e6b8"), rgb("#fdf6dc"), rgb("#b3b277"), rgb("#cfa565")),
}


def draw_room(canvas: Canvas, palette: Palette) -> None:
    """The wall with its window, and the table in front of it."""
    canvas.gradient(
        [(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], lighter(palette.wall, 0.35), palette.wall
    )
    rng = canvas.rng
    middle = WIDTH / 2 + rng.choice((-1, 1)) * rng.uniform(20, 120)
    if rng.random() < 0.5:
        _moon_window(canvas, palette, middle)
    else:
        _arch_window(canvas, palette, middle)
    table = [(0, TABLE_TOP), (WIDTH, TABLE_TOP), (WIDTH, HEIGHT), (0, HEIGHT)]
    canvas.gradient(table, lighter(palette.table, 0.30), darker(palette.table, 0.06))
    canvas.polygon(
        [(0, TABLE_TOP), (WIDTH, TABLE_TOP), (WIDTH, TABLE_TOP + 5), (0, TABLE_TOP + 5)], (255, 250, 235, 90)
    )
    for _ in range(9):
        y = rng.uniform(TABLE_TOP + 24, HEIGHT - 10)
        start = rng.uniform(-100, WIDTH)
        length = rng.uniform(140, 420)
        canvas.line(
            [(start, y), (start + length, y + rng.uniform(-3, 3))], (*darker(palette.table, 0.35), 38), 2.2
        )


def _hills(canvas: Canvas, palette: Palette, left: float, right: float, bottom: float) -> None:
    rng = canvas.rng
    for layer, (height, share) in enumerate(((230, 0.62), (165, 0.36), (95, 0.08))):
        colour = mix(palette.hills, palette.window, share)
        phase, stretch = rng.uniform(0, 7), rng.uniform(150, 240) - layer * 20
        ridge = [
            (
                x,
                bottom
                - height
                - 46 * math.sin(x / stretch + phase)
                - 20 * math.sin(x / (stretch * 0.37) + phase * 2),
            )
            for x in range(int(left) - 10, int(right) + 30, 20)
        ]
        canvas.polygon([*ridge, (right + 30, bottom), (left - 10, bottom)], colour)


def _moon_window(canvas: Canvas, palette: Palette, middle: float) -> None:
    radius = canvas.rng.uniform(330, 370)
    centre = TABLE_TOP - radius * 0.80
    round_window = [
        (middle + radius * math.cos(t / 90 * math.pi), centre + radius * math.sin(t / 90 * math.pi))
        for t in range(180)
    ]
    canvas.ellipse(middle, centre, radius + 12, radius + 12, (*lighter(palette.wall, 0.75), 255))
    canvas.polygon(round_window, palette.window)
    canvas.within(round_window, lambda sheet: _view(sheet, palette, middle, radius))


def _arch_window(canvas: Canvas, palette: Palette, middle: float) -> None:
    half = canvas.rng.uniform(300, 350)
    spring = 330.0
    arch = [
        (middle + half * math.cos(t / 60 * math.pi), spring - half * 0.86 * math.sin(t / 60 * math.pi))
        for t in range(61)
    ]
    arch = [*arch, (middle - half, TABLE_TOP), (middle + half, TABLE_TOP)]
    wider = [(middle + (x - middle) * 1.035, y - 10 if y < TABLE_TOP else y) for x, y in arch]
    canvas.polygon(wider, (*lighter(palette.wall, 0.75), 255))
    canvas.polygon(arch, palette.window)
    canvas.within(arch, lambda sheet: _view(sheet, palette, middle, half))


def _view(canvas: Canvas, palette: Palette, middle: float, half: float) -> None:
    rng = canvas.rng
    sun = middle + rng.choice((-1, 1)) * half * rng.uniform(0.3, 0.5)
    canvas.ellipse(sun, 215, 46, 46, (*mix(palette.window, rgb("#f7b25a"), 0.45), 255))
    _hills(canvas, palette, middle - half, middle + half, TABLE_TOP)


def draw_sprig(canvas: Canvas, x: float, y: float, *, length: float, angle: float, colour: Colour) -> None:
    """A twig with leaves in pairs, growing from (x, y) at `angle` degrees."""
    turn = math.radians(angle)
    dx, dy = math.cos(turn), math.sin(turn)
    bend = canvas.rng.uniform(-0.12, 0.12) * length
    course = [
        (x + dx * length * t - dy * bend * t * t, y + dy * length * t + dx * bend * t * t)
        for t in (0, 0.33, 0.66, 1)
    ]
    canvas.line(course, darker(colour, 0.3), 4)
    for number, t in enumerate((0.25, 0.42, 0.58, 0.74, 0.9)):
        px, py = x + dx * length * t - dy * bend * t * t, y + dy * length * t + dx * bend * t * t
        for side in (-1, 1):
            draw_leaf(
                canvas, px, py, length=length * (0.30 - 0.03 * number), angle=angle + side * 46, colour=colour
            )
    draw_leaf(canvas, *course[-1], length=length * 0.22, angle=angle, colour=colour)


def draw_leaf(
    canvas: Canvas, x: float, y: float, *, length: float, angle: float, colour: Colour, wide: float = 0.23
) -> None:
    """A leaf from its stalk at (x, y), one half in the light."""
    turn = math.radians(angle)
    along, aside = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))

    def place(t: float, width: float) -> tuple[float, float]:
        return (
            x + along[0] * length * t + aside[0] * length * width,
            y + along[1] * length * t + aside[1] * length * width,
        )

    shape = [(0.0, 0.0), (0.25, wide * 0.8), (0.5, wide), (0.78, wide * 0.62), (1.0, 0.0)]
    spine = [place(t, 0) for t, _ in shape]
    upper, lower = [place(t, w) for t, w in shape], [place(t, -w) for t, w in shape]
    from_tip = list(reversed(spine))
    canvas.polygon([*smooth(upper, closed=False), *from_tip], colour)
    canvas.polygon([*smooth(lower, closed=False), *from_tip], darker(colour, 0.16))
    canvas.line([spine[0], place(0.9, 0)], lighter(colour, 0.35), max(1.2, length * 0.014))
