"""Made things on the table: bean curd, honeycomb, tea in the cup, a board, soap."""

from __future__ import annotations

import math

from marketplace.demo.pictures.canvas import Canvas, Colour, darker, lighter, mix, rgb, smooth

BAMBOO = rgb("#d9b06a")


def bean_curd(canvas: Canvas, x: float, ground: float, size: float, *, spiced: bool) -> None:
    """Cubes of fermented bean curd on a small plate."""
    rng = canvas.rng
    cream = rgb("#f1dfb4")
    for dx, dy in ((-0.62, 0), (0.62, 0), (0.0, -0.1), (-0.3, -0.78), (0.36, -0.80)):
        px, py = x + dx * size * 1.25, ground + dy * size
        top = [
            (px - size * 0.55, py - size * 0.62),
            (px - size * 0.20, py - size * 0.88),
            (px + size * 0.60, py - size * 0.80),
            (px + size * 0.30, py - size * 0.52),
        ]
        canvas.polygon([top[0], top[3], (px + size * 0.30, py), (px - size * 0.55, py - size * 0.10)], cream)
        canvas.polygon(
            [top[3], top[2], (px + size * 0.60, py - size * 0.26), (px + size * 0.30, py)],
            darker(cream, 0.18),
        )
        canvas.polygon(top, lighter(cream, 0.4))
        if spiced:
            for _ in range(16):
                canvas.ellipse(
                    px + rng.uniform(-0.4, 0.3) * size,
                    py - size * rng.uniform(0.15, 0.82),
                    5,
                    3.6,
                    mix(rgb("#c23a24"), rgb("#e0762f"), rng.random()),
                )


def honeycomb(canvas: Canvas, x: float, ground: float, size: float) -> None:
    """A piece of comb, with honey running from it."""
    amber = rgb("#e5a52e")
    canvas.shadow(x + 6, ground - 4, size * 1.1, 24)
    piece = [
        (x - size, ground - size * 0.2),
        (x - size * 0.8, ground - size * 1.1),
        (x + size * 0.4, ground - size * 1.25),
        (x + size * 1.05, ground - size * 0.7),
        (x + size * 0.9, ground - size * 0.05),
        (x - size * 0.2, ground),
    ]
    canvas.polygon(smooth(piece, steps=4), darker(amber, 0.24))

    def cells(sheet: Canvas) -> None:
        r = size * 0.135
        for row in range(9):
            for column in range(10):
                px = x - size * 1.1 + column * r * 1.80 + (r * 0.9 if row % 2 else 0)
                py = ground - size * 1.3 + row * r * 1.56
                hexagon = [
                    (
                        px + r * 0.90 * math.cos(math.radians(60 * k + 30)),
                        py + r * 0.90 * math.sin(math.radians(60 * k + 30)),
                    )
                    for k in range(6)
                ]
                sheet.polygon(hexagon, mix(lighter(amber, 0.25), rgb("#f6cf62"), sheet.rng.random()))
                sheet.polygon(
                    [(px + (a - px) * 0.66, py + (b - py) * 0.66) for a, b in hexagon],
                    mix(amber, rgb("#c97f16"), sheet.rng.random() * 0.5),
                )

    canvas.within(smooth(piece, steps=4), cells)


def dipper(canvas: Canvas, x: float, y: float, length: float) -> None:
    """A honey dipper lying at a slant."""
    wood = rgb("#c58c4d")
    canvas.line([(x, y), (x + length, y - length * 0.36)], wood, 17)
    for ring in range(5):
        px, py = x - 4 - ring * 17, y + 2 + ring * 6.2
        canvas.ellipse(px, py, 11, 44 - abs(ring - 2) * 7, mix(wood, lighter(wood, 0.3), ring % 2), angle=-20)


def teacup(canvas: Canvas, x: float, ground: float, size: float, brew: Colour) -> None:
    """A white cup of tea on its saucer, with a wisp of steam."""
    canvas.shadow(x + 6, ground - 2, size * 1.25, 22)
    canvas.ellipse(x, ground - 12, size * 1.15, size * 0.24, rgb("#dfe5e4"))
    canvas.ellipse(x, ground - 18, size * 1.12, size * 0.22, rgb("#fbfcfa"))
    side = smooth(
        [
            (x + size * 0.80, ground - size * 1.02),
            (x + size * 0.74, ground - size * 0.60),
            (x + size * 0.42, ground - size * 0.16),
            (x + size * 0.34, ground - 16),
        ],
        closed=False,
    )
    cup = [*side, *((2 * x - px, py) for px, py in reversed(side))]
    canvas.gradient(cup, rgb("#ffffff"), rgb("#d9e2e2"), across=True)
    canvas.ellipse(x, ground - size * 1.02, size * 0.80, size * 0.22, rgb("#ffffff"))
    canvas.ellipse(x, ground - size * 1.00, size * 0.72, size * 0.18, darker(brew, 0.12))
    canvas.ellipse(x, ground - size * 0.985, size * 0.69, size * 0.16, brew)
    canvas.line(
        [
            (x - size * 0.62, ground - size * 0.68),
            (x, ground - size * 0.58),
            (x + size * 0.62, ground - size * 0.68),
        ],
        (*rgb("#4d7fa6"), 140),
        4,
    )
    for number, dx in enumerate((-0.22, 0.2)):
        wisp = [
            (x + (dx + 0.09 * math.sin(t * 1.6 + number)) * size, ground - size * (1.2 + t * 0.22))
            for t in range(6)
        ]
        canvas.line(wisp, (255, 255, 255, 120), 8)


def chopping_board(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    """A board of glued bamboo, leaning."""
    canvas.shadow(x + 10, y + height / 2 + 4, width * 0.52, 22)
    left, top = x - width / 2, y - height / 2
    right, bottom = left + width, top + height
    cut = 16
    outline = [
        (left + cut, top),
        (right - cut, top),
        (right, top + cut),
        (right, bottom - cut),
        (right - cut, bottom),
        (left + cut, bottom),
        (left, bottom - cut),
        (left, top + cut),
    ]

    def lath(sheet: Canvas) -> None:
        count = 11
        for number in range(count):
            shade = mix(BAMBOO, lighter(BAMBOO, 0.32), sheet.rng.random())
            sheet.box(
                left,
                top + number * height / count,
                left + width,
                top + (number + 1) * height / count - 2,
                shade,
            )
            for joint in range(2):
                px = left + width * ((sheet.rng.random() + joint) / 2)
                sheet.box(
                    px,
                    top + number * height / count,
                    px + 3,
                    top + (number + 1) * height / count - 2,
                    darker(shade, 0.14),
                )

    canvas.polygon([(a + 5, b + 9) for a, b in outline], darker(BAMBOO, 0.34))
    canvas.within(outline, lath)
    canvas.box(x - 62, top + 26, x + 62, top + 54, darker(BAMBOO, 0.5), radius=14)


def soap(canvas: Canvas, x: float, ground: float, width: float, colour: Colour, words: str) -> None:
    """A bar of soap with pressed words."""
    height = width * 0.42
    canvas.shadow(x + 8, ground - 2, width * 0.54, 22)
    canvas.box(x - width / 2, ground - height, x + width / 2, ground, darker(colour, 0.20), radius=34)
    canvas.box(x - width / 2, ground - height - 10, x + width / 2, ground - 16, colour, radius=34)
    canvas.box(
        x - width / 2 + 26,
        ground - height + 12,
        x + width / 2 - 26,
        ground - 40,
        lighter(colour, 0.22),
        radius=22,
    )
    canvas.text(x, ground - height / 2 - 14, words, width * 0.15, darker(colour, 0.34))
