"""From the forest: mushrooms, bamboo shoots, reishi, roots."""

from __future__ import annotations

from random import Random

from PIL import Image

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


def shiitake(rng: Random, size: float) -> Image.Image:
    """A stamp of a mushroom with a cracked cap, seen from the side and a little from above."""

    def paint(sheet: Canvas) -> None:
        x, y = size, size * 0.62
        brown = mix(rgb("#8a5733"), rgb("#6d4128"), rng.random())
        stem = [
            (x - size * 0.16, y),
            (x - size * 0.20, y + size * 0.66),
            (x + size * 0.18, y + size * 0.70),
            (x + size * 0.17, y),
        ]
        sheet.blob(stem, rgb("#eadbc0"))
        sheet.line(
            [(x + size * 0.06, y + size * 0.3), (x + size * 0.07, y + size * 0.62)],
            (*darker(rgb("#eadbc0"), 0.3), 110),
            4,
        )
        sheet.ellipse(x, y + size * 0.10, size * 0.70, size * 0.17, rgb("#e3cfae"))
        for step in range(-9, 10):
            sheet.line(
                [(x + step * size * 0.03, y + size * 0.04), (x + step * size * 0.071, y + size * 0.22)],
                (*rgb("#b08d63"), 120),
                2,
            )
        cap = [
            (x - size * 0.80, y + size * 0.12),
            (x - size * 0.72, y - size * 0.20),
            (x, y - size * 0.52),
            (x + size * 0.72, y - size * 0.20),
            (x + size * 0.80, y + size * 0.12),
            (x, y + size * 0.04),
        ]
        sheet.gradient(smooth(cap), lighter(brown, 0.18), darker(brown, 0.14))
        for _ in range(9):
            px, py = x + rng.uniform(-0.55, 0.55) * size, y - size * rng.uniform(0.04, 0.34)
            pale = (*lighter(brown, 0.55), 210)
            sheet.polygon(
                [
                    (px + rng.uniform(-14, 14) * size / 110, py + rng.uniform(-8, 8) * size / 110)
                    for _ in range(4)
                ],
                pale,
            )
        sheet.ellipse(
            x - size * 0.28, y - size * 0.27, size * 0.22, size * 0.08, (255, 255, 255, 60), angle=-22
        )

    return new_stamp(rng, int(size * 2), int(size * 1.5), paint)


def wood_ear(rng: Random, size: float) -> Image.Image:
    """A stamp of a wavy dark wood ear."""

    def paint(sheet: Canvas) -> None:
        x = y = size
        dark = mix(rgb("#3d2c2a"), rgb("#5a4038"), rng.random())
        rim = [
            (px + rng.uniform(-0.14, 0.14) * size, py + rng.uniform(-0.12, 0.12) * size)
            for px, py in ellipse_points(x, y, size * 0.78, size * 0.55, steps=11)
        ]
        sheet.blob(rim, dark)
        inner = [(x + (px - x) * 0.66, y + (py - y) * 0.62 - size * 0.05) for px, py in rim]
        sheet.blob(inner, lighter(dark, 0.16))
        sheet.blob([(x + (px - x) * 0.34, y + (py - y) * 0.3) for px, py in rim], darker(dark, 0.25))
        sheet.line([rim[6], (x - size * 0.3, y - size * 0.28), rim[8]], (*lighter(dark, 0.5), 120), 4)

    return new_stamp(rng, int(size * 2), int(size * 2), paint)


def tea_tree_mushrooms(canvas: Canvas, x: float, ground: float, height: float, count: int = 11) -> None:
    """A bunch of mushrooms on long stems."""
    rng = canvas.rng
    canvas.shadow(x, ground - 4, height * 0.5, 20)
    for number in sorted(range(count), key=lambda _: rng.random()):
        share = (number + 0.5) / count - 0.5
        foot, top = x + share * height * 0.34, ground - height * rng.uniform(0.62, 1.0)
        head = x + share * height * 1.05
        canvas.line(
            [(foot, ground - 4), (foot + (head - foot) * 0.3, (ground + top) / 2), (head, top)],
            mix(rgb("#d9bd93"), rgb("#c29c6d"), rng.random()),
            height * 0.045,
        )
        brown = mix(rgb("#8d5b35"), rgb("#a8713f"), rng.random())
        cap = [
            (head - height * 0.10, top + height * 0.03),
            (head - height * 0.07, top - height * 0.06),
            (head, top - height * 0.09),
            (head + height * 0.07, top - height * 0.06),
            (head + height * 0.10, top + height * 0.03),
            (head, top + height * 0.045),
        ]
        canvas.gradient(smooth(cap), lighter(brown, 0.2), darker(brown, 0.1))
    canvas.box(
        x - height * 0.20,
        ground - height * 0.26,
        x + height * 0.20,
        ground - height * 0.18,
        rgb("#b8473a"),
        radius=6,
    )


def bamboo_fungus(canvas: Canvas, x: float, ground: float, height: float) -> None:
    """A bamboo fungus with its net."""
    canvas.shadow(x, ground - 2, height * 0.28, 16)
    canvas.blob(
        [
            (x - height * 0.07, ground - height * 0.82),
            (x + height * 0.07, ground - height * 0.82),
            (x + height * 0.085, ground),
            (x - height * 0.085, ground),
        ],
        rgb("#fbf6e8"),
    )
    skirt = smooth(
        [
            (x - height * 0.12, ground - height * 0.80),
            (x + height * 0.12, ground - height * 0.80),
            (x + height * 0.34, ground - height * 0.26),
            (x + height * 0.16, ground - height * 0.20),
            (x, ground - height * 0.25),
            (x - height * 0.16, ground - height * 0.20),
            (x - height * 0.34, ground - height * 0.26),
        ]
    )
    canvas.polygon(skirt, (253, 249, 238, 150))

    def net(sheet: Canvas) -> None:
        for step in range(-9, 10):
            sheet.line(
                [(x + step * 6, ground - height * 0.82), (x + step * height * 0.045, ground - height * 0.18)],
                (255, 253, 244, 255),
                4,
            )
        for level in range(8):
            y = ground - height * (0.72 - level * 0.07)
            sheet.line(
                [(x - height * 0.4, y + 12), (x, y), (x + height * 0.4, y + 12)], (255, 253, 244, 255), 4
            )

    canvas.within(skirt, net)
    canvas.blob(
        [
            (x - height * 0.11, ground - height * 0.79),
            (x - height * 0.08, ground - height * 0.96),
            (x + height * 0.08, ground - height * 0.96),
            (x + height * 0.11, ground - height * 0.79),
        ],
        rgb("#8b8a5e"),
    )


def bamboo_shoot(rng: Random, height: float) -> Image.Image:
    """A stamp of a fresh shoot in its sheaths, upright."""
    width = height * 0.52

    def paint(sheet: Canvas) -> None:
        x, ground = width / 2, height - 4
        body = [
            (x, 6),
            (x + width * 0.16, height * 0.26),
            (x + width * 0.34, height * 0.60),
            (x + width * 0.42, height * 0.86),
            (x + width * 0.30, ground),
            (x - width * 0.30, ground),
            (x - width * 0.42, height * 0.86),
            (x - width * 0.34, height * 0.60),
            (x - width * 0.16, height * 0.26),
        ]
        husk = mix(rgb("#8c5f3c"), rgb("#a57446"), rng.random())
        sheet.polygon(smooth(body), darker(husk, 0.2))
        for level in range(6, -1, -1):
            top = height * (0.02 + level * 0.125)
            low = min(ground, height * (0.40 + level * 0.125))
            half = width * (0.13 + level * 0.052)
            side = -1 if level % 2 else 1
            sheath = [
                (x + side * half * 0.25, top),
                (x + side * half, (top + low) / 2),
                (x + side * half * 0.95, low),
                (x - side * half * 0.95, low - height * 0.03),
                (x - side * half * 0.6, (top + low) / 2),
            ]
            shade = mix(husk, rgb("#c99a5e"), (6 - level) * 0.09)
            sheet.gradient(smooth(sheath), lighter(shade, 0.12), darker(shade, 0.10))
            sheet.line(
                [(x + side * half * 0.25, top + 6), (x + side * half * 0.2, low - 6)],
                (*darker(shade, 0.4), 90),
                3,
            )
            tip = (x + side * half * 0.25, top)
            sheet.line([tip, (tip[0] + side * 10, tip[1] - height * 0.02)], GREEN, 5)
        sheet.ellipse(x, ground - 6, width * 0.30, height * 0.035, rgb("#f0dfb8"))

    return new_stamp(rng, int(width), int(height), paint)


def cut_shoot(rng: Random, length: float) -> Image.Image:
    """A stamp of a peeled half shoot with its chambers."""
    width = length * 0.46

    def paint(sheet: Canvas) -> None:
        x = width / 2
        body = smooth(
            [
                (x, 4),
                (x + width * 0.2, length * 0.3),
                (x + width * 0.40, length * 0.68),
                (x + width * 0.42, length - 12),
                (x, length - 3),
                (x - width * 0.42, length - 12),
                (x - width * 0.40, length * 0.68),
                (x - width * 0.2, length * 0.3),
            ]
        )
        sheet.polygon(body, rgb("#f4e6bd"))
        for level in range(7):
            y, half = length * (0.26 + level * 0.10), width * (0.07 + level * 0.032)
            sheet.ellipse(x, y, half, length * 0.026, rgb("#dcc58a"))
        sheet.line(
            [(x - width * 0.30, length * 0.62), (x - width * 0.33, length * 0.9)], (255, 255, 255, 150), 5
        )

    return new_stamp(rng, int(width), int(length), paint)


def reishi(canvas: Canvas, x: float, ground: float, size: float) -> None:
    """A reishi with its lacquered cap."""
    canvas.shadow(x + 6, ground - 2, size * 0.5, 18)
    canvas.line(
        [
            (x + size * 0.1, ground - 6),
            (x - size * 0.05, ground - size * 0.5),
            (x + size * 0.04, ground - size * 0.95),
        ],
        rgb("#6e2f22"),
        size * 0.16,
    )
    for ring, colour in enumerate(("#e8c58a", "#c9713a", "#a8452b", "#8a2f22")):
        shrink = 1 - ring * 0.15
        cap = [
            (x - size * 0.78 * shrink, ground - size * 1.02),
            (x - size * 0.55 * shrink, ground - size * (1.02 + 0.30 * shrink)),
            (x, ground - size * (1.02 + 0.44 * shrink)),
            (x + size * 0.60 * shrink, ground - size * (1.02 + 0.28 * shrink)),
            (x + size * 0.80 * shrink, ground - size * 1.0),
            (x, ground - size * (1.02 - 0.10 * shrink)),
        ]
        canvas.blob(cap, rgb(colour))
    canvas.ellipse(
        x - size * 0.24, ground - size * 1.24, size * 0.24, size * 0.06, (255, 255, 255, 90), angle=-16
    )


def ginger_roots(canvas: Canvas, x: float, ground: float, size: float, colour: Colour) -> None:
    """Knotty rhizomes with two cut slices in front."""
    rng = canvas.rng
    canvas.shadow(x, ground - 4, size * 1.5, 24)
    for dx, dy, r in (
        (-0.95, 0.50, 0.36),
        (-0.45, 0.56, 0.46),
        (0.12, 0.60, 0.50),
        (0.68, 0.52, 0.42),
        (1.08, 0.42, 0.30),
        (-0.2, 0.98, 0.32),
        (0.45, 1.0, 0.28),
    ):
        px, py = x + dx * size, ground - dy * size
        shade = mix(colour, lighter(colour, 0.25), rng.random() * 0.6)
        canvas.ellipse(px, py, size * r, size * r * 0.78, darker(shade, 0.14))
        canvas.ellipse(px - 3, py - 5, size * r * 0.93, size * r * 0.70, shade)
        canvas.ellipse(
            px + size * 0.04, py - size * r * 0.12, size * r * 0.30, size * r * 0.20, darker(shade, 0.22)
        )
        canvas.ellipse(
            px + size * 0.04, py - size * r * 0.12, size * r * 0.22, size * r * 0.14, lighter(shade, 0.12)
        )
        for ring in (0.4, 0.7):
            canvas.line(
                [
                    (px - size * r * ring, py + size * r * 0.5),
                    (px, py + size * r * 0.62),
                    (px + size * r * ring, py + size * r * 0.5),
                ],
                (*darker(shade, 0.4), 80),
                2.4,
            )


def slices(canvas: Canvas, x: float, y: float, count: int, size: float, colour: Colour) -> None:
    """Dried slices lying about."""
    rng = canvas.rng
    for number in range(count):
        px, py = x + (number - (count - 1) / 2) * size * 1.5 + rng.uniform(-9, 9), y + rng.uniform(-12, 12)
        canvas.shadow(px + 3, py + size * 0.3, size * 0.8, size * 0.3, 0.25)
        rim = [
            (a + rng.uniform(-3, 3), b + rng.uniform(-3, 3))
            for a, b in ellipse_points(px, py, size * 0.84, size * 0.52, steps=10)
        ]
        canvas.blob(rim, darker(colour, 0.20))
        canvas.blob([(px + (a - px) * 0.84, py + (b - py) * 0.8) for a, b in rim], lighter(colour, 0.08))
        for ring in (0.55, 0.3):
            canvas.blob(
                [(px + (a - px) * ring, py + (b - py) * ring) for a, b in rim], (*darker(colour, 0.16), 90)
            )
