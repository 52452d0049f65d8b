"""Still lifes of forest goods. Each paints the subject into a room that is already there."""

from __future__ import annotations

from marketplace.demo.pictures import animals, forest, fruit, garden, grain, packs, table
from marketplace.demo.pictures.backdrops import draw_leaf, draw_sprig
from marketplace.demo.pictures.canvas import Canvas, Colour, darker, rgb

OIL = rgb("#e0a52c")
CAP = rgb("#2f5a41")
GREEN = rgb("#4f8f4b")
BAMBOO = rgb("#d9b06a")


def _camellias(canvas: Canvas, x: float, y: float) -> None:
    draw_leaf(canvas, x - 20, y + 10, length=130, angle=-150, colour=GREEN)
    draw_leaf(canvas, x + 30, y + 14, length=120, angle=-18, colour=GREEN)
    canvas.shadow(x, y + 66, 96, 20)
    canvas.stamp(garden.camellia(canvas.rng, 88), x, y)
    for dx in (120, 172):
        canvas.shadow(x + dx, y + 66, 34, 10)
        canvas.ellipse(x + dx, y + 40, 34, 31, rgb("#6b4a2e"))
        canvas.ellipse(x + dx - 9, y + 30, 9, 6, (255, 255, 255, 90), angle=-30)


def oil_bottle(canvas: Canvas, words: str) -> None:
    """A bottle of oil with its flower."""
    draw_sprig(canvas, 250, 740, length=360, angle=-66, colour=GREEN)
    packs.bottle(canvas, 520, 815, 640, OIL, CAP, words)
    _camellias(canvas, 790, 745)


def oil_jug(canvas: Canvas, words: str) -> None:
    """A large bottle beside a small one."""
    packs.bottle(canvas, 450, 815, 620, OIL, CAP, words, stout=True)
    packs.bottle(canvas, 760, 825, 440, OIL, CAP, words)
    _camellias(canvas, 940, 770)


def oil_gift(canvas: Canvas, words: str) -> None:
    """A gift box with two bottles."""
    packs.bottle(canvas, 300, 800, 560, OIL, CAP, words)
    packs.bottle(canvas, 480, 815, 560, OIL, CAP, words)
    packs.gift_box(canvas, 830, 820, 480, 360, rgb("#2f6b4c"), words)


def soap_bar(canvas: Canvas, words: str) -> None:
    """Bars of soap with a camellia."""
    draw_sprig(canvas, 960, 720, length=330, angle=-112, colour=GREEN)
    table.soap(canvas, 520, 700, 460, rgb("#e3d3a2"), words)
    table.soap(canvas, 590, 830, 500, rgb("#cfdba8"), words)
    canvas.stamp(garden.camellia(canvas.rng, 110), 930, 740)


def honey_jar(canvas: Canvas, words: str) -> None:
    """A jar of honey, comb and dipper."""
    packs.jar(canvas, 430, 815, 480, rgb("#d8901f"), rgb("#c9a24d"), words)
    table.honeycomb(canvas, 800, 810, 175)
    table.dipper(canvas, 930, 800, 190)


def winter_honey(canvas: Canvas, words: str) -> None:
    """Pale winter honey with flowers."""
    draw_sprig(canvas, 930, 760, length=420, angle=-118, colour=GREEN)
    packs.jar(canvas, 640, 815, 480, rgb("#ecc463"), rgb("#7a5a34"), words)
    packs.jar(canvas, 350, 825, 350, rgb("#ecc463"), rgb("#7a5a34"), words)
    _osmanthus(canvas, 880, 810, 50)


def shiitake(canvas: Canvas, words: str) -> None:
    """A pouch and a pile of shiitake."""
    packs.pouch(canvas, 340, 800, 540, words, rgb("#8a5a38"))
    for size, x, y in ((150, 700, 560), (130, 920, 590), (170, 800, 690), (140, 1010, 720), (130, 610, 745)):
        canvas.shadow(x, y + size * 0.55, size * 0.6, 20)
        canvas.stamp(forest.shiitake(canvas.rng, size), x, y, angle=canvas.rng.uniform(-8, 8))


def wood_ear(canvas: Canvas, words: str) -> None:
    """A pouch and a bowl of wood ear."""
    packs.pouch(canvas, 330, 800, 540, words, rgb("#4d3934"))
    for size, x, y in ((130, 700, 620), (140, 850, 580), (130, 990, 625), (120, 780, 665), (120, 920, 660)):
        canvas.stamp(forest.wood_ear(canvas.rng, size), x, y, angle=canvas.rng.uniform(0, 90))
    packs.bowl(canvas, 845, 670, 830, 500, rgb("#d8e2de"))


def tea_tree_mushroom(canvas: Canvas, words: str) -> None:
    """A bunch of tea-tree mushrooms and their pouch."""
    packs.pouch(canvas, 330, 800, 540, words, rgb("#9a6a3f"))
    forest.tea_tree_mushrooms(canvas, 830, 815, 470, count=15)


def bamboo_fungus(canvas: Canvas, words: str) -> None:
    """Bamboo fungus in its net."""
    packs.pouch(canvas, 320, 800, 540, words, rgb("#d8c79c"))
    forest.bamboo_fungus(canvas, 690, 790, 470)
    forest.bamboo_fungus(canvas, 950, 815, 400)


def yellow_root(canvas: Canvas, words: str) -> None:
    """Steamed roots and slices with their tin."""
    packs.tin(canvas, 350, 800, 500, rgb("#7b4a2d"), words)
    forest.ginger_roots(canvas, 820, 720, 170, rgb("#b98a4a"))
    forest.slices(canvas, 820, 800, 5, 56, rgb("#5d3a26"))


def kudzu(canvas: Canvas, words: str) -> None:
    """Root starch: a tin, a root, a bowl of powder."""
    packs.tin(canvas, 340, 800, 480, rgb("#8a7b56"), words)
    forest.ginger_roots(canvas, 960, 640, 120, rgb("#c7a878"))
    grain.heap(canvas, 800, 700, 400, 130, [rgb("#fbf8ef"), rgb("#f1ebdc")], (8, 6), lying=False)
    packs.bowl(canvas, 800, 690, 830, 440, rgb("#cbd9dc"))


def reishi(canvas: Canvas, words: str) -> None:
    """Reishi, whole and sliced."""
    packs.pouch(canvas, 320, 800, 520, words, rgb("#a5502f"))
    forest.reishi(canvas, 720, 740, 300)
    forest.reishi(canvas, 950, 770, 210)
    forest.slices(canvas, 820, 815, 5, 54, rgb("#b9683d"))


def essential_oil(canvas: Canvas, words: str) -> None:
    """Small dark bottles and the berries they come from."""
    draw_sprig(canvas, 260, 780, length=420, angle=-62, colour=rgb("#6f9a4f"))
    packs.bottle(canvas, 620, 815, 420, rgb("#7a4a1e"), rgb("#2b2622"), words, stout=True)
    packs.bottle(canvas, 830, 825, 330, rgb("#7a4a1e"), rgb("#2b2622"), words, stout=True)
    for dx, dy in ((0, 0), (40, 12), (82, -4), (20, -34), (62, -34)):
        canvas.ellipse(950 + dx, 800 + dy, 22, 22, rgb("#6f8f3e"))
        canvas.ellipse(944 + dx, 793 + dy, 7, 5, (255, 255, 255, 120))


def spice(canvas: Canvas, words: str) -> None:
    """A pouch of dried berries and a bowl."""
    packs.pouch(canvas, 340, 800, 530, words, rgb("#5a4a2c"))
    grain.heap(
        canvas, 820, 700, 420, 140, [rgb("#4f4328"), rgb("#6a5a34"), rgb("#3d3421")], (13, 12), lying=False
    )
    packs.bowl(canvas, 820, 690, 820, 460, rgb("#c9a77a"))
    draw_sprig(canvas, 1020, 650, length=260, angle=-100, colour=rgb("#6f9a4f"))


def _osmanthus(canvas: Canvas, x: float, ground: float, count: int) -> None:
    rng = canvas.rng
    for _ in range(count):
        px, py = x + rng.gauss(0, 70), ground - abs(rng.gauss(0, 24))
        for dx, dy in ((-6, 0), (6, 0), (0, -6), (0, 6)):
            canvas.ellipse(px + dx, py + dy, 6.5, 5.5, rgb("#f2b13a"))
        canvas.ellipse(px, py, 3, 3, rgb("#c97a18"))


def osmanthus(canvas: Canvas, words: str) -> None:
    """Dried osmanthus with a flowering twig."""
    draw_sprig(canvas, 880, 720, length=430, angle=-84, colour=GREEN)
    for height in (640, 560, 480, 400):
        _osmanthus(canvas, 890 + (720 - height) * 0.06, height, 12)
    packs.jar(canvas, 420, 815, 470, rgb("#f0bb4c"), rgb("#6e4b2a"), words, bits=rgb("#c98a22"))
    _osmanthus(canvas, 800, 820, 110)


def hen_and_eggs(canvas: Canvas, words: str) -> None:
    """A hen in the straw."""
    animals.hen(canvas, 440, 815, 440, canvas.rng.choice((rgb("#c98342"), rgb("#b56a35"))))
    grain.straw(canvas, 880, 825, 420)
    animals.eggs(canvas, 880, 800, 3, 62, rgb("#dcae82"))
    del words


def egg_tray(canvas: Canvas, words: str) -> None:
    """A basket full of eggs."""
    animals.eggs(canvas, 590, 620, 6, 70, rgb("#dcae82"))
    animals.eggs(canvas, 590, 670, 5, 74, rgb("#d7a373"))
    fruit.basket(canvas, 590, 640, 825, 700, BAMBOO)
    grain.straw(canvas, 1010, 835, 200)
    animals.eggs(canvas, 1010, 815, 2, 58, rgb("#e3ba92"))
    del words


def orange_saplings(canvas: Canvas, words: str) -> None:
    """Grafted orange trees."""
    for x, height in ((330, 540), (620, 620), (900, 520)):
        garden.sapling(canvas, x, 820, height, fruit=fruit.NAVEL_ORANGE.skin)
    del words


def oil_saplings(canvas: Canvas, words: str) -> None:
    """Grafted oil-tea plants in flower."""
    for x, height in ((300, 500), (560, 600), (800, 540), (1000, 460)):
        garden.sapling(canvas, x, 820, height, flower=True)
    del words


def azalea(canvas: Canvas, words: str) -> None:
    """An azalea in bloom."""
    garden.azalea(canvas, 600, 835, 360, rgb("#b8613f"))
    del words


def winter_shoots(canvas: Canvas, words: str) -> None:
    """Fresh winter shoots in a basket."""
    for x, y, height, angle in ((430, 520, 330, 14), (590, 480, 380, -4), (760, 520, 340, -16)):
        canvas.stamp(forest.bamboo_shoot(canvas.rng, height), x, y, angle=angle)
    fruit.basket(canvas, 590, 610, 820, 620, BAMBOO)
    canvas.stamp(forest.cut_shoot(canvas.rng, 290), 1010, 770, angle=66)
    del words


def spring_shoots(canvas: Canvas, words: str) -> None:
    """Tall spring shoots."""
    canvas.shadow(560, 800, 320, 30)
    for x, y, height, angle in ((370, 560, 500, 6), (560, 520, 590, -2), (750, 570, 480, -9)):
        canvas.stamp(forest.bamboo_shoot(canvas.rng, height), x, y, angle=angle)
    canvas.stamp(forest.cut_shoot(canvas.rng, 330), 990, 740, angle=58)
    del words


def dried_shoots(canvas: Canvas, words: str) -> None:
    """Smoked shoots with their pouch."""
    packs.pouch(canvas, 330, 800, 550, words, rgb("#b07a3c"))
    grain.strips(canvas, 820, 820, rgb("#b9823f"), count=40, length=180, width=30)


def boiled_shoots(canvas: Canvas, words: str) -> None:
    """A large pouch and peeled shoots on a plate."""
    packs.pouch(canvas, 340, 810, 600, words, rgb("#e3cf94"), paper=rgb("#dfe6d2"), ink=rgb("#2f5a41"))
    packs.plate(canvas, 840, 770, 300, 66)
    for x, y, angle in ((760, 700, 62), (880, 710, 80), (820, 745, 70)):
        canvas.stamp(forest.cut_shoot(canvas.rng, 270), x, y, angle=angle)


def board(canvas: Canvas, words: str) -> None:
    """A chopping board with something to chop."""
    table.chopping_board(canvas, 560, 560, 680, 460)
    garden.root_crop(canvas, 940, 800, 170, rgb("#ef8a3a"), angle=68)
    garden.chilli(canvas, 820, 830, 130, -12, rgb("#cf3428"))
    del words


def woven_basket(canvas: Canvas, words: str) -> None:
    """A woven basket with vegetables."""
    rim: Colour = darker(BAMBOO, 0.14)
    course = [(330, 560), (360, 330), (590, 220), (820, 330), (850, 560)]
    canvas.line(course, rim, 26)
    garden.cabbage(canvas, 480, 600, 250)
    garden.root_crop(canvas, 700, 600, 170, rgb("#ef8a3a"), angle=10)
    fruit.basket(canvas, 590, 560, 820, 600, BAMBOO)
    del words


def craft_gift(canvas: Canvas, words: str) -> None:
    """A tea set of woven bamboo with its box."""
    packs.gift_box(canvas, 350, 800, 420, 380, rgb("#6b7f5a"), words)
    fruit.basket(canvas, 820, 690, 830, 420, BAMBOO)
    table.teacup(canvas, 740, 680, 90, rgb("#c9b64a"))
    table.teacup(canvas, 930, 680, 90, rgb("#c9b64a"))


def fern(canvas: Canvas, words: str) -> None:
    """Dried fern shoots."""
    packs.pouch(canvas, 330, 800, 540, words, rgb("#6b5a3c"))
    grain.strips(canvas, 830, 820, rgb("#6f5a3a"), count=60, length=190, width=12)
    draw_sprig(canvas, 1010, 640, length=280, angle=-104, colour=rgb("#6f9a4f"))
