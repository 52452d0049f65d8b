"""Poultry, meat and fish, fresh and cured."""

from __future__ import annotations

import math

from marketplace.demo.pictures.canvas import (
    Canvas,
    Colour,
    darker,
    ellipse_points,
    lighter,
    mix,
    rgb,
    smooth,
)

BAMBOO = rgb("#d9b06a")


def pole(canvas: Canvas, y: float) -> None:
    """A bamboo pole across the picture for things that hang."""
    canvas.box(80, y - 13, 1120, y + 13, BAMBOO, radius=12)
    canvas.box(80, y - 13, 1120, y - 4, lighter(BAMBOO, 0.35), radius=6)
    for joint in range(190, 1100, 190):
        canvas.box(joint - 5, y - 16, joint + 5, y + 16, darker(BAMBOO, 0.18), radius=5)


def cured_duck(canvas: Canvas, x: float, top: float, height: float) -> None:
    """A pressed and cured duck hanging by its bill, breast outwards."""
    skin = rgb("#d58b45")
    canvas.line([(x, top - 70), (x, top + 6)], rgb("#8a6a44"), 6)

    def traced(course: str) -> list[tuple[float, float]]:
        pairs = (pair.split(",") for pair in course.split())
        return [(x + float(dx) * height, top + float(dy) * height) for dx, dy in pairs]

    for side in ("", "-"):
        leg = f"{side}.03,.80 {side}.12,.78 {side}.13,.92 {side}.085,1.02 {side}.10,1.12 {side}.055,1.10 {side}.04,.98"
        canvas.blob(traced(leg), darker(skin, 0.22))
    canvas.blob(traced("-.05,.90 .05,.90 .03,1.00 0,1.03 -.03,1.00"), darker(skin, 0.30))
    canvas.gradient(
        smooth(traced("-.035,.06 .035,.06 .045,.22 .09,.34 -.09,.34 -.045,.22")), skin, darker(skin, 0.06)
    )
    body = smooth(
        traced(
            "0,.26 .085,.32 .15,.46 .175,.64 .15,.80 .07,.91 0,.94 -.07,.91 -.15,.80 -.175,.64 -.15,.46 -.085,.32"
        )
    )
    canvas.gradient(body, lighter(skin, 0.26), darker(skin, 0.10))
    for side in ("", "-"):
        wing = f"{side}.10,.36 {side}.165,.42 {side}.215,.58 {side}.205,.76 {side}.165,.66 {side}.13,.50"
        canvas.blob(traced(wing), darker(skin, 0.20))
        canvas.line(traced(f"{side}.13,.43 {side}.175,.56 {side}.19,.68"), (*darker(skin, 0.45), 110), 4)
    canvas.blob(traced("-.055,.36 -.02,.34 -.03,.58 -.07,.70 -.09,.52"), (255, 240, 205, 80))
    canvas.line(traced("0,.40 .008,.60 0,.80"), (*darker(skin, 0.35), 90), 5)
    head = traced("-.045,.0 .03,-.01 .05,.05 .04,.10 -.035,.10 -.05,.05")
    canvas.blob(head, lighter(skin, 0.06))
    canvas.blob(traced("-.03,.02 -.10,.055 -.115,.085 -.085,.09 -.03,.075"), rgb("#e3a437"))
    canvas.ellipse(x - 0.012 * height, top + 0.035 * height, 5, 5, rgb("#3a271a"))


def cured_pork(canvas: Canvas, x: float, top: float, height: float, width: float) -> None:
    """A strip of cured belly pork on a string."""
    canvas.line([(x, top - 60), (x, top + 20)], rgb("#8a6a44"), 6)
    rng = canvas.rng
    left = [(x - width / 2 + rng.uniform(-6, 6), top + height * t) for t in (0, 0.3, 0.6, 0.9, 1)]
    right = [(x + width / 2 + rng.uniform(-6, 6), top + height * t) for t in (1, 0.85, 0.5, 0.2, 0)]
    outline = smooth([*left, *right], steps=6)

    def layers(sheet: Canvas) -> None:
        for number, (colour, share) in enumerate(
            (
                ("#7d2a1e", 0.0),
                ("#f0cfa0", 0.24),
                ("#a23a28", 0.38),
                ("#f4dbb2", 0.56),
                ("#8c2f22", 0.66),
                ("#b98a4f", 0.88),
            )
        ):
            wave = [
                (
                    x - width / 2 + width * share + 5 * math.sin(t * 2 + number),
                    top - 10 + (height + 20) * t / 8,
                )
                for t in range(9)
            ]
            sheet.polygon(
                [*smooth(wave, closed=False), (x + width, top + height + 20), (x + width, top - 20)],
                rgb(colour),
            )
        sheet.line(
            [(x - width * 0.30, top + height * 0.1), (x - width * 0.32, top + height * 0.8)],
            (255, 255, 255, 46),
            9,
        )

    canvas.within(outline, layers)


def sausages(canvas: Canvas, x: float, top: float, length: float) -> None:
    """A pair of sausages on a string."""
    red = rgb("#9c3428")
    canvas.line([(x, top - 60), (x, top)], rgb("#8a6a44"), 6)
    for side in (-1, 1):
        course = [(x + side * 6, top), (x + side * 34, top + length * 0.5), (x + side * 24, top + length)]
        canvas.line(course, red, 40)
        canvas.line([(a - 9, b + 12) for a, b in course], (*lighter(red, 0.45), 150), 7)
        for _ in range(26):
            t = canvas.rng.random()
            canvas.ellipse(
                x + side * (10 + 56 * t * (1 - t) * 1.9) + canvas.rng.uniform(-13, 13),
                top + length * t,
                5,
                4,
                (*rgb("#e8b9a0"), 190),
            )


def fish(canvas: Canvas, x: float, y: float, length: float, colour: Colour, *, dried: bool = False) -> None:
    """A fish lying to the left."""
    half = length / 2
    tall = length * (0.13 if dried else 0.17)
    body = smooth(
        [
            (x - half, y),
            (x - half * 0.66, y - tall * 0.82),
            (x - half * 0.1, y - tall),
            (x + half * 0.5, y - tall * 0.52),
            (x + half * 0.80, y - tall * 0.2),
            (x + half * 0.80, y + tall * 0.2),
            (x + half * 0.5, y + tall * 0.58),
            (x - half * 0.1, y + tall),
            (x - half * 0.66, y + tall * 0.74),
        ]
    )
    canvas.blob(
        [
            (x + half * 0.72, y),
            (x + half * 1.02, y - tall * 0.80),
            (x + half * 0.92, y),
            (x + half * 1.02, y + tall * 0.80),
        ],
        darker(colour, 0.22),
    )
    canvas.blob(
        [
            (x - half * 0.2, y - tall * 0.9),
            (x + half * 0.06, y - tall * 1.42),
            (x + half * 0.40, y - tall * 0.66),
        ],
        darker(colour, 0.18),
    )
    canvas.gradient(body, darker(colour, 0.14), lighter(colour, 0.52))

    def scales(sheet: Canvas) -> None:
        for row in range(-4, 5):
            for column in range(12):
                px = x - half * 0.40 + column * length * 0.062 + (length * 0.031 if row % 2 else 0)
                py = y + row * tall * 0.24
                sheet.line(
                    [(px, py - tall * 0.11), (px + length * 0.02, py), (px, py + tall * 0.11)],
                    (*darker(colour, 0.34), 70),
                    3,
                )
        sheet.line(
            [(x - half * 0.50, y - tall), (x - half * 0.42, y), (x - half * 0.50, y + tall)],
            (*darker(colour, 0.4), 150),
            5,
        )

    canvas.within(body, scales)
    canvas.ellipse(x - half * 0.72, y - tall * 0.24, length * 0.022, length * 0.022, (255, 255, 250))
    canvas.ellipse(x - half * 0.725, y - tall * 0.24, length * 0.012, length * 0.012, rgb("#2c2622"))
    canvas.line(
        [(x - half * 0.97, y + tall * 0.10), (x - half * 0.84, y + tall * 0.17)], darker(colour, 0.5), 3
    )
    canvas.blob(
        [
            (x - half * 0.34, y + tall * 0.12),
            (x - half * 0.10, y + tall * 0.36),
            (x - half * 0.34, y + tall * 0.42),
        ],
        darker(colour, 0.2),
    )


def hen(canvas: Canvas, x: float, ground: float, size: float, colour: Colour) -> None:
    """A hen looking to the left."""
    canvas.shadow(x, ground - 2, size * 0.6, 22)
    for dx in (-0.12, 0.12):
        canvas.line([(x + dx * size, ground - size * 0.34), (x + dx * size, ground - 8)], rgb("#e0a13a"), 9)
        canvas.line(
            [
                (x + dx * size - 24, ground - 4),
                (x + dx * size, ground - 10),
                (x + dx * size + 16, ground - 4),
            ],
            rgb("#e0a13a"),
            8,
            soft=False,
        )
    for number, angle in enumerate((0.0, 0.16, 0.34)):
        tail = [
            (x + size * 0.42, ground - size * 0.62),
            (x + size * (0.82 - angle * 0.4), ground - size * (1.02 + angle)),
            (x + size * 0.60, ground - size * 0.60),
        ]
        canvas.blob(tail, darker(rgb("#39463b"), number * 0.12))
    canvas.gradient(
        smooth(
            [
                (x - size * 0.48, ground - size * 1.02),
                (x - size * 0.30, ground - size * 1.06),
                (x - size * 0.14, ground - size * 0.82),
                (x + size * 0.30, ground - size * 0.80),
                (x + size * 0.60, ground - size * 0.78),
                (x + size * 0.44, ground - size * 0.40),
                (x + size * 0.10, ground - size * 0.26),
                (x - size * 0.32, ground - size * 0.36),
                (x - size * 0.50, ground - size * 0.66),
            ]
        ),
        lighter(colour, 0.24),
        darker(colour, 0.10),
    )
    canvas.blob(
        [
            (x - size * 0.10, ground - size * 0.70),
            (x + size * 0.30, ground - size * 0.70),
            (x + size * 0.44, ground - size * 0.54),
            (x + size * 0.06, ground - size * 0.44),
        ],
        darker(colour, 0.20),
    )
    canvas.ellipse(x - size * 0.40, ground - size * 1.10, size * 0.15, size * 0.15, lighter(colour, 0.10))
    for dx, dy in ((-0.49, 1.25), (-0.41, 1.29), (-0.33, 1.25)):
        canvas.ellipse(x + dx * size, ground - dy * size, size * 0.055, size * 0.075, rgb("#cf3a30"))
    canvas.polygon(
        [
            (x - size * 0.53, ground - size * 1.13),
            (x - size * 0.66, ground - size * 1.08),
            (x - size * 0.53, ground - size * 1.04),
        ],
        rgb("#e8a62f"),
    )
    canvas.ellipse(x - size * 0.50, ground - size * 0.99, size * 0.04, size * 0.07, rgb("#cf3a30"))
    canvas.ellipse(x - size * 0.43, ground - size * 1.13, size * 0.022, size * 0.022, rgb("#2a201a"))


def eggs(canvas: Canvas, x: float, ground: float, count: int, size: float, colour: Colour) -> None:
    """Eggs side by side."""
    rng = canvas.rng
    for number in range(count):
        px = x + (number - (count - 1) / 2) * size * 1.62 + rng.uniform(-4, 4)
        shade = mix(colour, rgb("#f7e4cd"), rng.random() * 0.5)
        py = ground - size
        canvas.polygon(
            [(a, b - (size * 0.14 if b < py else 0)) for a, b in ellipse_points(px, py, size * 0.82, size)],
            darker(shade, 0.14),
        )
        canvas.polygon(
            [
                (a - 3, b - 4 - (size * 0.13 if b < py else 0))
                for a, b in ellipse_points(px, py, size * 0.75, size * 0.92)
            ],
            shade,
        )
        canvas.ellipse(
            px - size * 0.28, py - size * 0.44, size * 0.16, size * 0.26, (255, 255, 255, 120), angle=24
        )


def beef(canvas: Canvas, x: float, y: float, size: float) -> None:
    """A cut of beef with its grain of fat."""
    rng = canvas.rng
    piece = smooth(
        [
            (x - size, y + size * 0.1),
            (x - size * 0.7, y - size * 0.42),
            (x, y - size * 0.55),
            (x + size * 0.8, y - size * 0.40),
            (x + size * 1.02, y + size * 0.06),
            (x + size * 0.6, y + size * 0.42),
            (x - size * 0.4, y + size * 0.46),
        ]
    )
    canvas.polygon([(a, b + size * 0.14) for a, b in piece], rgb("#7e1f1f"))
    canvas.polygon(piece, rgb("#f1d9c4"))
    inner = [(x + (a - x) * 0.92, y + (b - y) * 0.88 + 4) for a, b in piece]
    canvas.gradient(inner, rgb("#c8443f"), rgb("#a32f2f"))

    def marbling(sheet: Canvas) -> None:
        for _ in range(16):
            px, py = x + rng.uniform(-0.9, 0.9) * size, y + rng.uniform(-0.5, 0.45) * size
            course = [
                (px + step * size * 0.09, py + rng.uniform(-0.06, 0.06) * size)
                for step in range(rng.randint(3, 6))
            ]
            sheet.line(course, (*rgb("#f4dccb"), 200), rng.uniform(3, 8))

    canvas.within(inner, marbling)
