"""What goods are packed in: tins, bottles, jars, pouches, boxes, sacks."""

from __future__ import annotations

from marketplace.demo.pictures.canvas import (
    Canvas,
    Colour,
    Point,
    darker,
    lighter,
    mirrored,
    mix,
    rgb,
    smooth,
)

CREAM = rgb("#fbf3df")
SEAL = rgb("#b5382c")
KRAFT = rgb("#cda877")


def column(x: float, profile: list[Point]) -> list[Point]:
    """The outline of a turned body with the middle `x`; `profile` is (half width, height) from top to bottom."""
    return mirrored(smooth([(x + half, y) for half, y in profile], closed=False), x)


def straight(x: float, profile: list[Point]) -> list[Point]:
    """As column, with straight edges."""
    return mirrored([(x + half, y) for half, y in profile], x)


def _rounded(canvas: Canvas, outline: list[Point], colour: Colour) -> None:
    """Fill a turned body so that it looks round: dark at both sides, light left of the middle."""
    xs = [x for x, _ in outline]
    left, right = min(xs), max(xs)
    light = left + (right - left) * 0.34

    def paint(sheet: Canvas) -> None:
        top, bottom = min(y for _, y in outline) - 2, max(y for _, y in outline) + 2
        sheet.gradient(
            [(left, top), (light, top), (light, bottom), (left, bottom)],
            darker(colour, 0.20),
            lighter(colour, 0.20),
            across=True,
        )
        sheet.gradient(
            [(light, top), (right, top), (right, bottom), (light, bottom)],
            lighter(colour, 0.20),
            darker(colour, 0.30),
            across=True,
        )

    canvas.within(outline, paint)


def label(
    canvas: Canvas,
    x: float,
    y: float,
    width: float,
    height: float,
    words: str,
    *,
    ink: Colour,
    paper: Colour = CREAM,
) -> None:
    """A paper label with the name set downwards, a hairline and a red seal."""
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    canvas.box(left, top, right, bottom, paper, radius=8)
    canvas.box(left + 6, top + 6, right - 6, bottom - 6, mix(paper, ink, 0.30), radius=5)
    canvas.box(left + 8, top + 8, right - 8, bottom - 8, paper, radius=4)
    size = min(width * 0.46, (height - 70) / max(2, len(words)) / 1.12)
    canvas.text(x, y - 18, words, size, ink, downwards=True)
    canvas.box(x - 13, bottom - 42, x + 13, bottom - 16, SEAL, radius=4)
    canvas.text(x, bottom - 29.5, "赣", 17, CREAM)


def tin(canvas: Canvas, x: float, ground: float, height: float, colour: Colour, words: str) -> None:
    """A round tea tin with a lid."""
    half = height * 0.30
    top = ground - height
    canvas.shadow(x + 14, ground - 4, half * 1.15, 24)
    _rounded(
        canvas,
        straight(x, [(half - 6, top + 30), (half, top + 38), (half, ground - 8), (half - 8, ground)]),
        colour,
    )
    lid = darker(colour, 0.18)
    _rounded(
        canvas,
        straight(
            x,
            [
                (half - 12, top),
                (half + 3, top + 10),
                (half + 3, top + height * 0.21),
                (half - 1, top + height * 0.21 + 4),
            ],
        ),
        lid,
    )
    canvas.line(
        [(x - half + 2, top + height * 0.21 + 7), (x + half - 2, top + height * 0.21 + 7)],
        (*darker(colour, 0.5), 110),
        4,
    )
    gold = rgb("#d9b25f")
    canvas.line([(x - half - 2, top + height * 0.17), (x + half + 2, top + height * 0.17)], gold, 4)
    label(canvas, x, top + height * 0.60, half * 1.05, height * 0.60, words, ink=darker(colour, 0.42))


def bottle(
    canvas: Canvas,
    x: float,
    ground: float,
    height: float,
    filling: Colour,
    cap: Colour,
    words: str,
    *,
    stout: bool = False,
) -> None:
    """A bottle of clear glass with a label; `stout` is a wide one with a short neck."""
    half = height * (0.24 if stout else 0.155)
    neck = half * (0.34 if stout else 0.36)
    top = ground - height
    shoulder = top + height * (0.26 if stout else 0.36)
    canvas.shadow(x + 16, ground - 4, half * 1.25, 22)
    outline = column(
        x,
        [(neck, top + height * 0.06), (neck, top + height * 0.17), (neck * 1.15, top + height * 0.22),
         (half * 0.92, shoulder), (half, shoulder + height * 0.07), (half, ground - 40), (half, ground - 16),
         (half * 0.86, ground)],
    )  # fmt: skip
    _rounded(canvas, outline, filling)
    canvas.within(
        outline,
        lambda sheet: sheet.box(
            x - half, top, x + half, top + height * 0.215, (*lighter(filling, 0.72), 255)
        ),
    )
    canvas.line(
        [(x - half * 0.66, shoulder + height * 0.10), (x - half * 0.66, ground - 46)],
        (255, 255, 255, 105),
        half * 0.14,
    )
    canvas.line(
        [(x + half * 0.80, shoulder + height * 0.12), (x + half * 0.80, ground - 60)],
        (255, 255, 255, 45),
        half * 0.08,
    )
    _rounded(
        canvas,
        straight(
            x,
            [
                (neck * 1.12, top),
                (neck * 1.22, top + 6),
                (neck * 1.22, top + height * 0.085),
                (neck * 1.12, top + height * 0.09),
            ],
        ),
        cap,
    )
    label(
        canvas,
        x,
        shoulder + (ground - shoulder) * 0.56,
        half * 1.34,
        (ground - shoulder) * 0.70,
        words,
        ink=darker(cap, 0.25),
    )


def jar(
    canvas: Canvas,
    x: float,
    ground: float,
    height: float,
    filling: Colour,
    lid: Colour,
    words: str,
    *,
    wide: float = 0.40,
    bits: Colour | None = None,
) -> None:
    """A glass jar with a lid; `bits` are pieces that swim in the filling."""
    half = height * wide
    top = ground - height
    canvas.shadow(x + 14, ground - 4, half * 1.15, 24)
    outline = column(
        x,
        [(half * 0.80, top + height * 0.16), (half * 0.84, top + height * 0.20), (half, top + height * 0.30),
         (half, top + height * 0.60), (half, ground - 26), (half * 0.90, ground)],
    )  # fmt: skip
    _rounded(canvas, outline, filling)
    if bits is not None:
        rng = canvas.rng

        def pieces(sheet: Canvas) -> None:
            for _ in range(46):
                px, py, r = (
                    rng.uniform(x - half, x + half),
                    rng.uniform(top + height * 0.3, ground),
                    rng.uniform(7, 15),
                )
                sheet.ellipse(
                    px,
                    py,
                    r,
                    r * 0.72,
                    (*mix(bits, filling, rng.random() * 0.5), 220),
                    angle=rng.uniform(0, 180),
                )

        canvas.within(outline, pieces)
    canvas.line(
        [(x - half * 0.76, top + height * 0.34), (x - half * 0.76, ground - 34)],
        (255, 255, 255, 110),
        half * 0.10,
    )
    _rounded(
        canvas,
        straight(
            x,
            [
                (half * 0.84, top),
                (half * 0.92, top + 8),
                (half * 0.92, top + height * 0.17),
                (half * 0.86, top + height * 0.19),
            ],
        ),
        lid,
    )
    label(
        canvas,
        x,
        top + height * 0.64,
        half * 1.04,
        height * 0.54,
        words,
        ink=darker(mix(lid, filling, 0.3), 0.55),
    )


def pot(canvas: Canvas, x: float, ground: float, height: float, glaze: Colour, words: str) -> None:
    """A glazed clay pot tied with a cloth."""
    half = height * 0.46
    top = ground - height
    canvas.shadow(x + 14, ground - 4, half * 1.05, 28)
    outline = column(
        x,
        [(half * 0.56, top + height * 0.16), (half * 0.62, top + height * 0.24), (half * 0.96, top + height * 0.42),
         (half, top + height * 0.58), (half * 0.88, top + height * 0.82), (half * 0.66, ground)],
    )  # fmt: skip
    _rounded(canvas, outline, glaze)
    cloth = rgb("#b6463a")
    canvas.polygon(
        smooth(
            [
                (x - half * 0.62, top + height * 0.10),
                (x, top - 6),
                (x + half * 0.62, top + height * 0.10),
                (x + half * 0.76, top + height * 0.25),
                (x + half * 0.3, top + height * 0.215),
                (x, top + height * 0.26),
                (x - half * 0.3, top + height * 0.215),
                (x - half * 0.76, top + height * 0.25),
            ]
        ),
        cloth,
    )
    canvas.line(
        [
            (x - half * 0.60, top + height * 0.135),
            (x, top + height * 0.16),
            (x + half * 0.60, top + height * 0.135),
        ],
        rgb("#ecd9a6"),
        7,
    )
    canvas.within(
        outline,
        lambda sheet: sheet.ellipse(
            x - half * 0.5, top + height * 0.52, half * 0.13, height * 0.17, (255, 255, 255, 66), angle=12
        ),
    )
    canvas.polygon(
        [
            (x, top + height * 0.40),
            (x + half * 0.50, top + height * 0.64),
            (x, top + height * 0.88),
            (x - half * 0.50, top + height * 0.64),
        ],
        SEAL,
    )
    canvas.text(x, top + height * 0.64, words[:1], half * 0.42, CREAM)


def pouch(
    canvas: Canvas,
    x: float,
    ground: float,
    height: float,
    words: str,
    contents: Colour,
    *,
    paper: Colour = KRAFT,
    ink: Colour | None = None,
) -> None:
    """A stand-up pouch with a window on its contents."""
    half = height * 0.34
    top = ground - height
    canvas.shadow(x + 12, ground - 6, half * 1.10, 24)
    outline = [
        (x - half * 0.94, top), (x + half * 0.94, top), (x + half * 0.96, top + height * 0.14),
        (x + half, ground - 50), (x + half * 0.92, ground - 6), (x - half * 0.92, ground - 6),
        (x - half, ground - 50), (x - half * 0.96, top + height * 0.14),
    ]  # fmt: skip
    canvas.gradient(outline, lighter(paper, 0.18), darker(paper, 0.07), across=True)
    canvas.polygon(
        [
            (x - half * 0.94, top),
            (x + half * 0.94, top),
            (x + half * 0.95, top + 26),
            (x - half * 0.95, top + 26),
        ],
        (*darker(paper, 0.16), 255),
    )
    canvas.line([(x - half * 0.92, top + 40), (x + half * 0.92, top + 40)], (*darker(paper, 0.28), 150), 3)
    canvas.polygon(
        [
            (x - half * 0.92, ground - 6),
            (x + half * 0.92, ground - 6),
            (x + half * 0.98, ground - 46),
            (x, ground - 30),
            (x - half * 0.98, ground - 46),
        ],
        (*darker(paper, 0.14), 150),
    )
    window = _window(x, top + height * 0.735, half * 0.62, height * 0.135)
    canvas.polygon(window, darker(contents, 0.28))
    canvas.within(
        window, lambda sheet: _crumbs(sheet, x, top + height * 0.735, half * 0.62, height * 0.14, contents)
    )
    label(
        canvas, x, top + height * 0.365, half * 0.92, height * 0.43, words, ink=ink or darker(contents, 0.45)
    )


def _window(x: float, y: float, rx: float, ry: float) -> list[Point]:
    return smooth(
        [
            (x - rx, y),
            (x - rx * 0.7, y - ry),
            (x, y - ry * 1.08),
            (x + rx * 0.7, y - ry),
            (x + rx, y),
            (x + rx * 0.7, y + ry),
            (x, y + ry * 1.08),
            (x - rx * 0.7, y + ry),
        ]
    )


def _crumbs(sheet: Canvas, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
    for _ in range(150):
        px, py = sheet.rng.uniform(x - rx, x + rx), sheet.rng.uniform(y - ry, y + ry)
        shade = mix(darker(colour, 0.14), lighter(colour, 0.3), sheet.rng.random())
        sheet.ellipse(px, py, 11, 7, (*shade, 255), angle=sheet.rng.uniform(0, 180))


def sack(canvas: Canvas, x: float, ground: float, height: float, words: str, ink: Colour) -> None:
    """A cotton sack, tied at the top."""
    half = height * 0.36
    top = ground - height
    cloth = rgb("#efe3c8")
    canvas.shadow(x + 12, ground - 6, half * 1.12, 30)
    outline = column(
        x,
        [(half * 0.48, top), (half * 0.30, top + height * 0.10), (half * 0.66, top + height * 0.18),
         (half * 0.98, top + height * 0.36), (half * 1.02, top + height * 0.74), (half * 0.94, ground - 14),
         (half * 0.80, ground)],
    )  # fmt: skip
    _rounded(canvas, outline, cloth)
    for fold in (-0.7, -0.3, 0.25, 0.66):
        canvas.line(
            [(x + fold * half * 0.36, top + height * 0.11), (x + fold * half * 0.9, top + height * 0.28)],
            (*darker(cloth, 0.35), 90),
            4,
        )
    canvas.line(
        [(x - half * 0.34, top + height * 0.10), (x + half * 0.34, top + height * 0.10)], rgb("#a8743e"), 12
    )
    canvas.text(
        x,
        top + height * 0.60,
        words,
        min(half * 0.44, height * 0.52 / max(2, len(words))),
        ink,
        downwards=True,
    )
    canvas.box(
        x + half * 0.34, top + height * 0.78, x + half * 0.34 + 34, top + height * 0.78 + 34, SEAL, radius=5
    )
    canvas.text(x + half * 0.34 + 17, top + height * 0.78 + 16, "赣", 22, CREAM)


def gift_box(
    canvas: Canvas, x: float, ground: float, width: float, height: float, colour: Colour, words: str
) -> None:
    """A gift box with a band and a label."""
    left, right, top = x - width / 2, x + width / 2, ground - height
    canvas.shadow(x + 14, ground - 2, width * 0.55, 28)
    canvas.gradient(
        [(left, top), (right, top), (right, ground), (left, ground)],
        lighter(colour, 0.10),
        darker(colour, 0.12),
    )
    canvas.polygon(
        [
            (left - 8, top),
            (right + 8, top),
            (right + 8, top + height * 0.17),
            (left - 8, top + height * 0.17),
        ],
        darker(colour, 0.10),
    )
    canvas.polygon(
        [
            (left - 8, top + height * 0.17),
            (right + 8, top + height * 0.17),
            (right + 4, top + height * 0.17 + 8),
            (left - 4, top + height * 0.17 + 8),
        ],
        (*darker(colour, 0.5), 90),
    )
    gold = rgb("#e2c079")
    canvas.box(x - width * 0.33, top - 1, x - width * 0.27, ground, gold)
    canvas.box(x - width * 0.30 - 44, top - 14, x - width * 0.30 + 44, top + 12, gold, radius=12)
    canvas.ellipse(x - width * 0.30, top - 2, 14, 14, darker(gold, 0.14))
    label(
        canvas,
        x + width * 0.14,
        top + height * 0.57,
        min(width * 0.30, height * 0.50),
        height * 0.72,
        words,
        ink=darker(colour, 0.30),
    )


def bowl(canvas: Canvas, x: float, top: float, ground: float, width: float, colour: Colour) -> None:
    """A bowl seen from the side; what lies in it is drawn before."""
    half = width / 2
    canvas.shadow(x + 8, ground - 4, half * 0.72, 22)
    outline = column(
        x,
        [
            (half, top),
            (half * 0.97, top + (ground - top) * 0.25),
            (half * 0.74, top + (ground - top) * 0.66),
            (half * 0.42, ground - 12),
            (half * 0.40, ground),
        ],
    )
    _rounded(canvas, outline, colour)
    canvas.box(x - half - 5, top - 7, x + half + 5, top + 8, lighter(colour, 0.4), radius=8)
    canvas.line(
        [(x - half * 0.90, top + 26), (x, top + 34), (x + half * 0.90, top + 26)], (*rgb("#4d7fa6"), 150), 4
    )


def plate(canvas: Canvas, x: float, y: float, rx: float, ry: float, colour: Colour = CREAM) -> None:
    """A plate lying on the table."""
    canvas.shadow(x + 6, y + 14, rx * 1.02, ry * 1.0)
    canvas.ellipse(x, y + 8, rx, ry, darker(colour, 0.22))
    canvas.ellipse(x, y, rx, ry, colour)
    canvas.ellipse(x, y + 3, rx * 0.80, ry * 0.78, darker(colour, 0.07))
    canvas.ellipse(x, y + 6, rx * 0.77, ry * 0.74, lighter(colour, 0.3))
