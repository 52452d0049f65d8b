"""From garden and pond: lotus, flowers, seedlings, greens."""

from __future__ import annotations

import math
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
    smooth,
)

GREEN = rgb("#4f8f4b")
SOIL = rgb("#6b4a35")


def lotus_pod(canvas: Canvas, x: float, y: float, r: float, *, stalk: float = 0) -> None:
    """A lotus seed pod seen from above at a slant, with its stalk downwards."""
    if stalk:
        canvas.line(
            [(x, y + r * 0.6), (x + r * 0.2, y + stalk * 0.6), (x + r * 0.1, y + stalk)],
            rgb("#6f8f4a"),
            r * 0.11,
        )
    canvas.blob(
        [
            (x - r, y),
            (x + r, y),
            (x + r * 0.62, y + r * 0.62),
            (x + r * 0.12, y + r * 1.08),
            (x - r * 0.12, y + r * 1.08),
            (x - r * 0.62, y + r * 0.62),
        ],
        rgb("#7c9a52"),
    )
    canvas.ellipse(x, y, r, r * 0.52, rgb("#a9bf74"))
    canvas.ellipse(x, y - 2, r * 0.93, r * 0.46, rgb("#bccd86"))
    for ring, count in ((0.0, 1), (0.36, 5), (0.70, 9)):
        for number in range(count):
            turn = 2 * math.pi * number / count + ring
            px, py = x + r * ring * math.cos(turn), y - 2 + r * ring * 0.49 * math.sin(turn)
            canvas.ellipse(px, py, r * 0.115, r * 0.08, rgb("#6d8447"))
            canvas.ellipse(px, py - r * 0.015, r * 0.085, r * 0.06, rgb("#e9e3b2"))


def lotus_flower(canvas: Canvas, x: float, y: float, r: float) -> None:
    """An open pink lotus."""
    pink = rgb("#ec9fb0")
    for ring, (count, length, spread) in enumerate(((7, 1.0, 150), (6, 0.92, 110), (5, 0.80, 70))):
        for number in range(count):
            angle = -90 + spread * (number / (count - 1) - 0.5)
            colour = mix(pink, (255, 246, 244), 0.18 + 0.20 * ring)
            draw_leaf(canvas, x, y, length=r * length, angle=angle, colour=colour, wide=0.26)
    canvas.ellipse(x, y - r * 0.10, r * 0.20, r * 0.12, rgb("#e6bf52"))


def lotus_leaf(canvas: Canvas, x: float, y: float, r: float) -> None:
    """A round lotus leaf lying at a slant."""
    green = rgb("#5f9a63")
    rim = [
        (px, py + (4 if i % 2 else -4))
        for i, (px, py) in enumerate(ellipse_points(x, y, r, r * 0.40, steps=16))
    ]
    canvas.blob(rim, green)
    canvas.blob([(x + (px - x) * 0.92, y + (py - y) * 0.9 - 3) for px, py in rim], lighter(green, 0.12))
    for number in range(14):
        turn = 2 * math.pi * number / 14
        canvas.line(
            [(x, y), (x + r * 0.86 * math.cos(turn), y + r * 0.34 * math.sin(turn))],
            (*lighter(green, 0.5), 120),
            2.4,
        )


def petals(
    rng: Random, size: float, colour: Colour, heart: Colour, count: int, *, rings: int = 1, wide: float = 0.20
) -> Image.Image:
    """A stamp of a round flower seen from above."""

    def paint(sheet: Canvas) -> None:
        for ring in range(rings):
            length = size * (1 - ring * 0.22)
            for number in range(count):
                angle = 360 * (number + 0.5 * (ring % 2)) / count + rng.uniform(-4, 4)
                draw_leaf(
                    sheet,
                    size,
                    size,
                    length=length,
                    angle=angle,
                    colour=mix(colour, lighter(colour, 0.35), rng.random() * 0.6),
                    wide=wide,
                )
        sheet.ellipse(size, size, size * 0.22, size * 0.22, darker(heart, 0.12))
        sheet.ellipse(size, size - size * 0.02, size * 0.18, size * 0.18, heart)
        for _ in range(14):
            turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * size * 0.17
            sheet.ellipse(
                size + far * math.cos(turn),
                size + far * math.sin(turn),
                size * 0.025,
                size * 0.025,
                lighter(heart, 0.4),
            )

    return new_stamp(rng, int(size * 2), int(size * 2), paint)


def camellia(rng: Random, size: float) -> Image.Image:
    """A white oil-tea flower with a golden heart."""

    def paint(sheet: Canvas) -> None:
        for number in range(6):
            turn = math.radians(number * 60 + rng.uniform(-6, 6))
            px, py = size + size * 0.48 * math.cos(turn), size + size * 0.48 * math.sin(turn)
            sheet.ellipse(
                px,
                py,
                size * 0.44,
                size * 0.36,
                mix(rgb("#f3ebdd"), rgb("#fffdf7"), number % 2),
                angle=math.degrees(turn),
            )
            sheet.line(
                [(size + size * 0.2 * math.cos(turn), size + size * 0.2 * math.sin(turn)), (px, py)],
                (*rgb("#d9cbb2"), 170),
                3,
            )
        sheet.ellipse(size, size, size * 0.26, size * 0.26, rgb("#e9b93c"))
        for _ in range(18):
            turn, far = rng.uniform(0, 2 * math.pi), size * rng.uniform(0.10, 0.30)
            sheet.ellipse(
                size + far * math.cos(turn),
                size + far * math.sin(turn),
                size * 0.03,
                size * 0.03,
                rgb("#c98a1d"),
            )

    return new_stamp(rng, int(size * 2), int(size * 2), paint)


def sapling(
    canvas: Canvas,
    x: float,
    ground: float,
    height: float,
    *,
    fruit: Colour | None = None,
    flower: bool = False,
) -> None:
    """A young tree in a bag of soil."""
    rng = canvas.rng
    half = height * 0.13
    canvas.shadow(x + 10, ground - 4, half * 1.5, 20)
    bag = [
        (x - half, ground - height * 0.24),
        (x + half, ground - height * 0.24),
        (x + half * 0.86, ground),
        (x - half * 0.86, ground),
    ]
    canvas.gradient(bag, rgb("#5d5348"), rgb("#3f382f"))
    canvas.ellipse(x, ground - height * 0.24, half, half * 0.28, SOIL)
    top = ground - height
    bend = rng.uniform(-0.05, 0.05) * height
    canvas.line(
        [
            (x, ground - height * 0.25),
            (x + bend, ground - height * 0.6),
            (x + bend * 0.6, top + height * 0.08),
        ],
        rgb("#7a5638"),
        height * 0.022,
    )
    for level in range(9):
        t = level / 8
        y = ground - height * (0.38 + 0.56 * t)
        for side in (-1, 1):
            angle = -90 + side * (72 - 44 * t) + rng.uniform(-9, 9)
            green = mix(GREEN, rgb("#7cb05a"), rng.random() * 0.6)
            draw_leaf(
                canvas,
                x + bend * (0.3 + 0.5 * t),
                y,
                length=height * (0.25 - 0.11 * t),
                angle=angle,
                colour=green,
                wide=0.24,
            )
    draw_leaf(
        canvas, x + bend * 0.6, top + height * 0.10, length=height * 0.13, angle=-88, colour=rgb("#7cb05a")
    )
    if fruit is not None:
        for dx, dy in ((-0.11, 0.55), (0.13, 0.62), (0.02, 0.78)):
            canvas.ellipse(
                x + dx * height, ground - dy * height, height * 0.036, height * 0.036, darker(fruit, 0.1)
            )
            canvas.ellipse(
                x + dx * height - 2, ground - dy * height - 2, height * 0.029, height * 0.029, fruit
            )
    if flower:
        for dx, dy in ((-0.12, 0.62), (0.10, 0.74)):
            canvas.stamp(camellia(rng, height * 0.06), x + dx * height, ground - dy * height)


def azalea(canvas: Canvas, x: float, ground: float, size: float, pot: Colour) -> None:
    """A round azalea in bloom in a pot."""
    rng = canvas.rng
    canvas.shadow(x + 10, ground - 4, size * 0.55, 22)
    canvas.gradient(
        [
            (x - size * 0.46, ground - size * 0.56),
            (x + size * 0.46, ground - size * 0.56),
            (x + size * 0.34, ground),
            (x - size * 0.34, ground),
        ],
        lighter(pot, 0.18),
        darker(pot, 0.12),
        across=True,
    )
    canvas.box(
        x - size * 0.52,
        ground - size * 0.64,
        x + size * 0.52,
        ground - size * 0.50,
        darker(pot, 0.10),
        radius=10,
    )
    crown = ground - size * 1.28
    canvas.ellipse(x, crown, size * 0.76, size * 0.56, rgb("#3f7443"))
    for _ in range(120):
        turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
        px, py = x + size * 0.86 * far * math.cos(turn), crown + size * 0.66 * far * math.sin(turn)
        draw_leaf(
            canvas,
            px,
            py,
            length=size * 0.16,
            angle=rng.uniform(0, 360),
            colour=mix(GREEN, rgb("#3c7443"), rng.random()),
        )
    blooms = [
        petals(rng, size * 0.13, mix(rgb("#d8456b"), rgb("#ef7f95"), share), rgb("#f6d6c2"), 5, wide=0.34)
        for share in (0, 0.35, 0.7, 1)
    ]
    for _ in range(46):
        turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random()) * 0.96
        canvas.stamp(
            rng.choice(blooms),
            x + size * 0.84 * far * math.cos(turn),
            crown + size * 0.64 * far * math.sin(turn),
            angle=rng.uniform(0, 72),
        )


def cabbage(canvas: Canvas, x: float, ground: float, size: float) -> None:
    """A head of greens with white ribs."""
    for number in (-3, 3, -2, 2, -1, 1, 0):
        lean = number * 15
        green = mix(rgb("#6ea84f"), rgb("#9cc76a"), 1 - abs(number) / 3)
        draw_leaf(
            canvas,
            x + number * size * 0.05,
            ground,
            length=size * (1.12 - 0.05 * abs(number)),
            angle=-90 + lean,
            colour=green,
            wide=0.30,
        )
        turn = math.radians(-90 + lean)
        canvas.line(
            [
                (x + number * size * 0.06, ground - 4),
                (x + math.cos(turn) * size * 0.55, ground + math.sin(turn) * size * 0.55),
            ],
            rgb("#f3f4e2"),
            size * 0.08,
        )


def root_crop(
    canvas: Canvas, x: float, ground: float, length: float, colour: Colour, *, angle: float = 0
) -> None:
    """A carrot or radish with its greens, standing in a crate."""
    turn = math.radians(angle - 90)
    for lean in (-26, -9, 8, 24):
        draw_leaf(
            canvas,
            x + math.cos(turn) * length,
            ground + math.sin(turn) * length,
            length=length * 0.95,
            angle=angle - 90 + lean,
            colour=mix(GREEN, rgb("#83b65c"), canvas.rng.random()),
            wide=0.13,
        )
    aside = (-math.sin(turn), math.cos(turn))

    def place(t: float, w: float) -> tuple[float, float]:
        return x + math.cos(turn) * length * t + aside[0] * w * length, ground + math.sin(
            turn
        ) * length * t + aside[1] * w * length

    canvas.gradient(
        smooth(
            [
                place(0, 0.04),
                place(0.5, 0.15),
                place(0.95, 0.17),
                place(1.02, 0),
                place(0.95, -0.17),
                place(0.5, -0.15),
                place(0, -0.04),
            ]
        ),
        lighter(colour, 0.15),
        darker(colour, 0.06),
    )
    for t in (0.5, 0.66, 0.82):
        canvas.line([place(t, 0.10), place(t, -0.02)], (*darker(colour, 0.3), 110), 3)


def chilli(canvas: Canvas, x: float, y: float, length: float, angle: float, colour: Colour) -> None:
    """A chilli lying on the table."""
    turn = math.radians(angle)
    aside = (-math.sin(turn), math.cos(turn))

    def place(t: float, w: float) -> tuple[float, float]:
        bend = 0.16 * t * t
        return x + (math.cos(turn) * t + aside[0] * (w + bend)) * length, y + (
            math.sin(turn) * t + aside[1] * (w + bend)
        ) * length

    canvas.blob([place(0, -0.09), place(0.4, -0.11), place(1, 0), place(0.4, 0.11), place(0, 0.09)], colour)
    canvas.line([place(0.15, -0.04), place(0.6, -0.03)], (255, 255, 255, 120), length * 0.03)
    canvas.blob([place(-0.04, -0.1), place(0.07, -0.09), place(0.07, 0.09), place(-0.04, 0.1)], GREEN)
    canvas.line([place(-0.02, 0), place(-0.2, -0.06)], darker(GREEN, 0.2), length * 0.045)
