"""Heaps, bundles and beds: grain, noodles, dried strips, loose tea, straw."""

from __future__ import annotations

import math
from collections.abc import Sequence

from marketplace.demo.pictures.canvas import Canvas, Colour, darker, lighter, mix, rgb, smooth


def heap(
    canvas: Canvas,
    x: float,
    ground: float,
    width: float,
    height: float,
    colours: Sequence[Colour],
    grain: tuple[float, float],
    *,
    lying: bool = True,
) -> None:
    """A heap of grains of the given half length and half height, in several colours."""
    rng = canvas.rng
    if lying:
        canvas.shadow(x, ground - 4, width * 0.52, 22)
    mound = smooth(
        [
            (x - width / 2, ground),
            (x - width * 0.34, ground - height * 0.42),
            (x - width * 0.12, ground - height * 0.90),
            (x, ground - height),
            (x + width * 0.14, ground - height * 0.88),
            (x + width * 0.36, ground - height * 0.40),
            (x + width / 2, ground),
        ],
        closed=False,
    )
    canvas.polygon(mound, darker(colours[0], 0.12))
    count = int(width * height / (grain[0] * grain[1] * 2.1))
    spots = []
    for _ in range(count):
        across = rng.uniform(-1, 1)
        roof = height * (1 - abs(across) ** 1.5)
        spots.append((ground - roof * rng.random() ** 0.7, x + across * width / 2))
    for py, px in sorted(spots):
        shade = mix(rng.choice(list(colours)), (255, 250, 235), rng.random() * 0.22)
        turn = rng.uniform(0, 180)
        canvas.ellipse(px, py + 1.5, grain[0], grain[1], darker(shade, 0.28), angle=turn)
        canvas.ellipse(px, py, grain[0] * 0.95, grain[1] * 0.9, shade, angle=turn)


def ears_of_rice(
    canvas: Canvas, x: float, ground: float, height: float, colour: Colour, count: int = 5
) -> None:
    """Ripe ears bowing to one side."""
    rng = canvas.rng
    for number in range(count):
        lean = (number - (count - 1) / 2) * 0.13 + 0.10
        reach = height * rng.uniform(0.85, 1.05)
        course = [
            (x + number * 7, ground),
            (x + lean * reach * 0.5, ground - reach * 0.62),
            (x + lean * reach + height * 0.10, ground - reach * 0.92),
            (x + lean * reach + height * 0.30, ground - reach * 0.80),
        ]
        canvas.line(course, darker(colour, 0.16), 5)
        line = smooth(course, closed=False)
        for place in range(len(line) // 2, len(line), 2):
            px, py = line[place]
            for side in (-1, 1):
                canvas.ellipse(
                    px + side * 9,
                    py + 8,
                    13,
                    6,
                    mix(colour, lighter(colour, 0.4), rng.random()),
                    angle=side * 52 + 60,
                )


def noodle_nests(canvas: Canvas, x: float, ground: float, colour: Colour, count: int = 3) -> None:
    """Nests of dried noodles."""
    rng = canvas.rng
    for number in range(count):
        px, r = x + (number - (count - 1) / 2) * 210, 112
        py = ground - 52 - (26 if number == 1 and count == 3 else 0)
        canvas.shadow(px + 4, py + 54, r * 0.95, 22)
        canvas.ellipse(px, py + 10, r, 58, darker(colour, 0.24))
        for _ in range(26):
            turn, wide = rng.uniform(0, 6.28), rng.uniform(0.35, 1.0)
            arc = [
                (
                    px + r * wide * math.cos(turn + t * 0.42),
                    py + 50 * wide * math.sin(turn + t * 0.42) + rng.uniform(-3, 3),
                )
                for t in range(9)
            ]
            canvas.line(arc, mix(colour, lighter(colour, 0.5), rng.random()), 6)
        canvas.ellipse(px, py, r * 0.20, 13, darker(colour, 0.32))


def bundles(canvas: Canvas, x: float, ground: float, length: float, colour: Colour, band: Colour) -> None:
    """Three bundles of vermicelli or dried strips, tied with a paper band."""
    rng = canvas.rng
    canvas.shadow(x, ground - 6, length * 0.56, 26)
    for level, (dx, dy) in enumerate(((-0.06, 0.0), (0.07, 0.0), (0.0, 0.26))):
        py = ground - 48 - dy * 330
        px = x + dx * length
        half = length * (0.47 if level < 2 else 0.42)
        for strand in range(34):
            y = py + (strand / 33 - 0.5) * 88
            bulge = 12 * math.cos((strand / 33 - 0.5) * 3)
            shade = mix(darker(colour, 0.16), lighter(colour, 0.35), rng.random())
            canvas.line(
                [
                    (px - half - rng.uniform(0, 22), y + bulge * 0.3),
                    (px, y),
                    (px + half + rng.uniform(0, 22), y - bulge * 0.3),
                ],
                shade,
                5.5,
            )
        canvas.box(px - 46, py - 52, px + 46, py + 52, band, radius=8)
        canvas.box(px - 40, py - 52, px - 34, py + 52, (255, 255, 255, 90))
        canvas.box(px + 34, py - 52, px + 40, py + 52, (255, 255, 255, 90))


def strips(
    canvas: Canvas,
    x: float,
    ground: float,
    colour: Colour,
    *,
    count: int = 44,
    length: float = 150,
    width: float = 17,
) -> None:
    """A loose heap of dried strips."""
    rng = canvas.rng
    canvas.shadow(x, ground - 8, 300, 40)
    spots = sorted(
        (ground - 26 - 150 * (1 - abs(a) ** 1.4) * rng.random(), x + a * 260)
        for a in (rng.uniform(-1, 1) for _ in range(count))
    )
    for py, px in spots:
        turn = rng.uniform(-1.1, 1.1)
        bend = rng.uniform(-18, 18)
        dx, dy = math.cos(turn) * length / 2, math.sin(turn) * length / 3.4
        course = [(px - dx, py - dy), (px + bend * 0.3, py + bend), (px + dx, py + dy)]
        shade = mix(darker(colour, 0.1), lighter(colour, 0.3), rng.random())
        canvas.line([(a, b + 5) for a, b in course], darker(shade, 0.3), width)
        canvas.line(course, shade, width)
        canvas.line([(a, b - width * 0.22) for a, b in course], (*lighter(shade, 0.5), 110), width * 0.2)


def loose_tea(canvas: Canvas, x: float, ground: float, width: float, colour: Colour) -> None:
    """A small heap of rolled leaves."""
    rng = canvas.rng
    canvas.shadow(x, ground - 2, width * 0.5, 16)
    for py, px in sorted(
        (ground - 6 - 70 * (1 - abs(a)) * rng.random(), x + a * width / 2)
        for a in (rng.uniform(-1, 1) for _ in range(150))
    ):
        turn, reach = rng.uniform(0, 6.28), rng.uniform(11, 22)
        shade = mix(darker(colour, 0.25), lighter(colour, 0.22), rng.random())
        canvas.line(
            [
                (px - reach * math.cos(turn), py - reach * 0.5 * math.sin(turn)),
                (px, py - rng.uniform(0, 6)),
                (px + reach * math.cos(turn), py + reach * 0.5 * math.sin(turn)),
            ],
            shade,
            5,
        )


def straw(canvas: Canvas, x: float, ground: float, width: float) -> None:
    """A bed of straw."""
    rng = canvas.rng
    canvas.shadow(x, ground, width * 0.52, 26)
    for _ in range(150):
        px, py = x + rng.uniform(-0.5, 0.5) * width, ground - rng.uniform(0, 44)
        turn = rng.uniform(-0.5, 0.5)
        reach = rng.uniform(40, 95)
        canvas.line(
            [(px - reach, py - turn * reach * 0.5), (px + reach, py + turn * reach * 0.5)],
            mix(rgb("#e7c877"), rgb("#c69a45"), rng.random()),
            5,
        )
