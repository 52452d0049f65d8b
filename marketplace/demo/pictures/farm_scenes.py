"""Still lifes of farm goods. Each paints the subject into a room that is already there."""

from __future__ import annotations

from marketplace.demo.pictures import animals, fruit, garden, grain, packs, table
from marketplace.demo.pictures.backdrops import draw_leaf, draw_sprig
from marketplace.demo.pictures.canvas import Canvas, Colour, rgb

GREEN = rgb("#4f8f4b")
BAMBOO = rgb("#d9b06a")
TEA_GREEN = rgb("#3f7d58")
TEA_RED = rgb("#a8453a")


def orange_crate(canvas: Canvas, words: str) -> None:
    """Navel oranges in a crate."""
    fruit.pile(canvas, fruit.NAVEL_ORANGE, 520, 610, (4, 3), lying=False)
    fruit.crate(canvas, 520, 570, 810, 780, words)
    fruit.halves(canvas, fruit.NAVEL_ORANGE, [(1020, 730)])


def orange_basket(canvas: Canvas, words: str) -> None:
    """A big basket of oranges."""
    fruit.pile(canvas, fruit.NAVEL_ORANGE, 560, 640, (5, 4, 3), lying=False)
    fruit.basket(canvas, 560, 600, 825, 860, BAMBOO)
    del words


def orange_gift(canvas: Canvas, words: str) -> None:
    """A gift box of oranges."""
    packs.gift_box(canvas, 420, 800, 520, 400, rgb("#d9822b"), words)
    fruit.pile(canvas, fruit.NAVEL_ORANGE, 900, 820, (2, 1), leaves=3)
    fruit.halves(canvas, fruit.NAVEL_ORANGE, [(690, 770)])


def blood_orange(canvas: Canvas, words: str) -> None:
    """Oranges with red flesh."""
    fruit.pile(canvas, fruit.BLOOD_ORANGE, 520, 800, (3, 2), leaves=4)
    fruit.halves(canvas, fruit.BLOOD_ORANGE, [(860, 700), (1000, 770)])
    del words


def pomelo(canvas: Canvas, words: str) -> None:
    """Two pomelos and a cut one."""
    fruit.pile(canvas, fruit.POMELO, 440, 800, (2,), leaves=2)
    fruit.halves(canvas, fruit.POMELO, [(900, 690)])
    del words


def passion_fruit(canvas: Canvas, words: str) -> None:
    """Passion fruit in a bowl."""
    fruit.pile(canvas, fruit.PASSION_FRUIT, 500, 690, (5, 4, 2), leaves=2, lying=False)
    packs.bowl(canvas, 500, 660, 820, 640, rgb("#e9e2d4"))
    fruit.halves(canvas, fruit.PASSION_FRUIT, [(910, 740), (1040, 780)])
    del words


def tangerines(canvas: Canvas, words: str) -> None:
    """A basket of tangerines."""
    fruit.pile(canvas, fruit.TANGERINE, 520, 620, (5, 4, 2), lying=False)
    fruit.basket(canvas, 520, 590, 815, 740, BAMBOO)
    fruit.halves(canvas, fruit.TANGERINE, [(950, 730), (1070, 775)])
    del words


def kumquats(canvas: Canvas, words: str) -> None:
    """Kumquats in a bowl."""
    fruit.pile(canvas, fruit.KUMQUAT, 560, 650, (8, 7, 6, 4), leaves=9, lying=False)
    packs.bowl(canvas, 560, 620, 825, 740, rgb("#e4ecee"))
    fruit.halves(canvas, fruit.KUMQUAT, [(990, 790), (1080, 800)])
    del words


def _dried(canvas: Canvas, words: str, kind: fruit.Fruit, size: float) -> None:
    packs.pouch(canvas, 330, 800, 540, words, kind.skin)
    places = (
        (700, 600),
        (860, 580),
        (1000, 620),
        (640, 710),
        (780, 700),
        (920, 710),
        (1050, 740),
        (720, 790),
        (880, 800),
    )
    for x, y in places:
        canvas.shadow(x + 4, y + 20, kind.radius * size, kind.radius * size * 0.8, 0.18)
        canvas.stamp(fruit.dried_slice(canvas.rng, kind), x, y, angle=canvas.rng.uniform(0, 40), size=size)


def dried_orange(canvas: Canvas, words: str) -> None:
    """Dried orange slices."""
    _dried(canvas, words, fruit.NAVEL_ORANGE, 0.86)


def dried_kumquat(canvas: Canvas, words: str) -> None:
    """Candied kumquats."""
    _dried(canvas, words, fruit.KUMQUAT, 1.5)


def _tea(canvas: Canvas, words: str, pack: Colour, brew: Colour, leaf: Colour) -> None:
    draw_sprig(canvas, 190, 720, length=320, angle=-70, colour=GREEN)
    packs.tin(canvas, 440, 805, 520, pack, words)
    table.teacup(canvas, 780, 810, 165, brew)
    grain.loose_tea(canvas, 1040, 825, 240, leaf)


def green_tea_tin(canvas: Canvas, words: str) -> None:
    """Green tea in a tin, a cup beside it."""
    _tea(canvas, words, TEA_GREEN, rgb("#cdbb52"), rgb("#4d6b3f"))


def black_tea_tin(canvas: Canvas, words: str) -> None:
    """Black tea in a tin, a cup beside it."""
    _tea(canvas, words, TEA_RED, rgb("#b5502a"), rgb("#3d2a22"))


def flower_black_tea(canvas: Canvas, words: str) -> None:
    """Scented black tea."""
    _tea(canvas, words, rgb("#c98a2e"), rgb("#c0652c"), rgb("#46301f"))
    for _ in range(26):
        canvas.ellipse(1040 + canvas.rng.gauss(0, 70), 806 + canvas.rng.gauss(0, 14), 6, 5, rgb("#f0b23c"))


def _tea_bag(canvas: Canvas, words: str, leaf: Colour, brew: Colour) -> None:
    packs.pouch(canvas, 350, 805, 600, words, leaf, ink=leaf)
    table.teacup(canvas, 720, 780, 140, brew)
    table.teacup(canvas, 960, 815, 140, brew)


def green_tea_bag(canvas: Canvas, words: str) -> None:
    """Everyday green tea in a pouch."""
    _tea_bag(canvas, words, rgb("#44633a"), rgb("#cdbb52"))


def black_tea_bag(canvas: Canvas, words: str) -> None:
    """Everyday black tea in a pouch."""
    _tea_bag(canvas, words, rgb("#4a2f24"), rgb("#b5502a"))


def white_tea_cake(canvas: Canvas, words: str) -> None:
    """A pressed cake of white tea."""
    canvas.shadow(440, 810, 250, 26)
    canvas.ellipse(440, 600, 235, 215, rgb("#8a8f78"))
    canvas.ellipse(440, 592, 228, 206, rgb("#a3a78c"))
    for _ in range(420):
        turn, far = canvas.rng.uniform(0, 360), canvas.rng.random() ** 0.5
        x = 440 + 215 * far * canvas.rng.uniform(-1, 1)
        y = 592 + 195 * (1 - ((x - 440) / 222) ** 2) ** 0.5 * canvas.rng.uniform(-1, 1)
        shade = canvas.rng.choice((rgb("#6f7561"), rgb("#c3c6ae"), rgb("#8b8a66"), rgb("#dcdcc8")))
        canvas.ellipse(x, y, 17, 4, shade, angle=turn)
    packs.label(canvas, 440, 592, 120, 230, words, ink=rgb("#4c5440"))
    table.teacup(canvas, 820, 810, 160, rgb("#d9b765"))
    grain.loose_tea(canvas, 1050, 825, 200, rgb("#7d8168"))


def leaf_tea(canvas: Canvas, words: str) -> None:
    """Leaves of other plants for the pot."""
    packs.tin(canvas, 380, 805, 500, rgb("#7a8f4e"), words)
    table.teacup(canvas, 720, 810, 150, rgb("#c9a94e"))
    for angle in (-150, -120, -95, -66, -34):
        draw_leaf(canvas, 990, 810, length=230, angle=angle, colour=rgb("#7d9a4f"), wide=0.17)


def lotus_leaf_tea(canvas: Canvas, words: str) -> None:
    """Lotus leaf for the pot."""
    packs.tin(canvas, 360, 800, 500, rgb("#5f8f6c"), words)
    garden.lotus_leaf(canvas, 880, 720, 280)
    table.teacup(canvas, 790, 820, 130, rgb("#b9a74e"))


def chrysanthemum(canvas: Canvas, words: str) -> None:
    """Golden chrysanthemums and a cup."""
    packs.jar(canvas, 360, 810, 470, rgb("#f4d488"), rgb("#7a5a34"), words, bits=rgb("#e2a322"))
    for size, x, y in ((120, 700, 640), (95, 1040, 650), (80, 620, 770)):
        stamp = garden.petals(canvas.rng, size, rgb("#f3b62b"), rgb("#c9741b"), 22, rings=3, wide=0.11)
        canvas.stamp(stamp, x, y)
    table.teacup(canvas, 860, 820, 150, rgb("#e3b03c"))


def lotus_seed(canvas: Canvas, words: str) -> None:
    """White lotus seed with pod and flower."""
    garden.lotus_flower(canvas, 820, 500, 210)
    packs.pouch(canvas, 330, 805, 550, words, rgb("#eadfbd"), paper=rgb("#e6d3c4"), ink=rgb("#9a4a5c"))
    garden.lotus_pod(canvas, 1010, 620, 110, stalk=170)
    grain.heap(canvas, 770, 820, 440, 150, [rgb("#f5ead0"), rgb("#ecdcb8"), rgb("#f9f2de")], (17, 15))


def lotus_bulk(canvas: Canvas, words: str) -> None:
    """A sack of lotus seed."""
    packs.sack(canvas, 380, 820, 580, words, rgb("#9a4a5c"))
    grain.heap(
        canvas, 850, 690, 520, 170, [rgb("#f5ead0"), rgb("#ecdcb8"), rgb("#f9f2de")], (17, 15), lying=False
    )
    packs.bowl(canvas, 850, 670, 825, 540, rgb("#dfe6e8"))


def lotus_fresh(canvas: Canvas, words: str) -> None:
    """Fresh pods on a leaf."""
    garden.lotus_leaf(canvas, 600, 770, 430)
    for x, y, r in ((380, 640, 130), (640, 590, 150), (880, 650, 125)):
        garden.lotus_pod(canvas, x, y, r)
    for x in (470, 540, 720, 790):
        canvas.ellipse(x, 800, 30, 26, rgb("#9cb868"))
        canvas.ellipse(x - 8, 791, 8, 6, (255, 255, 255, 110))
    del words


def lotus_powder(canvas: Canvas, words: str) -> None:
    """Lotus root starch."""
    garden.lotus_flower(canvas, 960, 560, 170)
    packs.tin(canvas, 370, 805, 500, rgb("#c9808c"), words)
    grain.heap(canvas, 790, 710, 420, 130, [rgb("#f8efe8"), rgb("#efe0d8")], (8, 6), lying=False)
    packs.bowl(canvas, 790, 700, 830, 460, rgb("#dfe6e8"))


def lotus_heart(canvas: Canvas, words: str) -> None:
    """Green lotus hearts for tea."""
    packs.jar(canvas, 380, 810, 460, rgb("#b9c98a"), rgb("#5d7a4a"), words, bits=rgb("#5f8a3f"))
    table.teacup(canvas, 740, 815, 150, rgb("#c6bb5a"))
    garden.lotus_pod(canvas, 1000, 640, 120, stalk=190)


def red_rice(canvas: Canvas, words: str) -> None:
    """Red rice, sack and heap."""
    grain.ears_of_rice(canvas, 170, 770, 480, rgb("#c98a3e"))
    packs.sack(canvas, 470, 820, 590, words, rgb("#8d2f2a"))
    grain.heap(canvas, 900, 825, 480, 180, [rgb("#a34c3a"), rgb("#8a3a30"), rgb("#b9684e")], (13, 5.5))


def white_rice(canvas: Canvas, words: str) -> None:
    """White rice, sack and heap."""
    grain.ears_of_rice(canvas, 170, 770, 480, rgb("#d9a93e"))
    packs.sack(canvas, 470, 820, 590, words, rgb("#2f6b4c"))
    grain.heap(canvas, 900, 825, 480, 180, [rgb("#f9f4e4"), rgb("#efe7cc"), rgb("#fffdf4")], (13, 5))


def rice_noodles(canvas: Canvas, words: str) -> None:
    """Nests of rice noodles."""
    packs.pouch(canvas, 300, 780, 480, words, rgb("#efe3c4"), paper=rgb("#d9dfd8"), ink=rgb("#33607a"))
    grain.noodle_nests(canvas, 800, 815, rgb("#f1e7cb"))


def vermicelli(canvas: Canvas, words: str) -> None:
    """Bundles of sweet-potato vermicelli."""
    grain.bundles(canvas, 600, 810, 760, rgb("#8f7157"), rgb("#b8473a"))
    del words


def sweet_potato(canvas: Canvas, words: str) -> None:
    """Dried sweet potato."""
    packs.pouch(canvas, 330, 800, 540, words, rgb("#d98b35"))
    grain.strips(canvas, 830, 820, rgb("#d98b35"), count=50, length=160, width=26)


def dried_greens(canvas: Canvas, words: str) -> None:
    """Dark dried mustard greens."""
    packs.pouch(canvas, 330, 800, 540, words, rgb("#5b4a2e"))
    grain.strips(canvas, 830, 820, rgb("#5f4b2c"), count=90, length=120, width=13)


def bean_curd(canvas: Canvas, words: str) -> None:
    """Fermented bean curd, spiced."""
    packs.pot(canvas, 370, 810, 480, rgb("#6b4a36"), words)
    packs.plate(canvas, 830, 770, 310, 70)
    table.bean_curd(canvas, 830, 770, 120, spiced=True)


def bean_curd_jar(canvas: Canvas, words: str) -> None:
    """Fermented bean curd for canteens."""
    packs.jar(canvas, 380, 815, 520, rgb("#d8923f"), rgb("#b5382c"), words, wide=0.44, bits=rgb("#f1dfb4"))
    packs.plate(canvas, 850, 780, 290, 66)
    table.bean_curd(canvas, 850, 780, 110, spiced=False)


def chilli_jar(canvas: Canvas, words: str) -> None:
    """Chopped chillies in a jar."""
    packs.jar(canvas, 440, 815, 500, rgb("#c43a26"), rgb("#3f6b3c"), words, bits=rgb("#e9733a"))
    for x, y, angle in ((720, 700, 16), (860, 660, -12), (780, 790, -6), (930, 760, 22)):
        canvas.shadow(x + 70, y + 22, 90, 12)
        garden.chilli(canvas, x, y, 190, angle, rgb("#cf3428"))


def vegetables(canvas: Canvas, words: str) -> None:
    """A crate of vegetables."""
    garden.cabbage(canvas, 330, 610, 290)
    for x, colour, angle in ((530, "#ef8a3a", -8), (630, "#f6f0ee", 2), (730, "#ef8a3a", 10)):
        garden.root_crop(canvas, x, 620, 200, rgb(colour), angle=angle)
    garden.cabbage(canvas, 850, 610, 250)
    fruit.crate(canvas, 590, 590, 820, 860, words)
    garden.chilli(canvas, 1060, 790, 120, 24, rgb("#cf3428"))


def duck(canvas: Canvas, words: str) -> None:
    """Cured ducks on a pole."""
    animals.pole(canvas, 110)
    for x, height in ((340, 510), (610, 540), (880, 505)):
        animals.cured_duck(canvas, x, 180, height)
    del words


def duck_gift(canvas: Canvas, words: str) -> None:
    """Cured duck in a gift box."""
    animals.pole(canvas, 110)
    animals.cured_duck(canvas, 880, 180, 520)
    packs.gift_box(canvas, 420, 820, 500, 410, rgb("#a83228"), words)


def cured_pork(canvas: Canvas, words: str) -> None:
    """Cured pork on a pole."""
    animals.pole(canvas, 120)
    for x, height, width in ((320, 480, 130), (530, 520, 140), (740, 460, 125), (930, 500, 130)):
        animals.cured_pork(canvas, x, 190, height, width)
    del words


def sausage(canvas: Canvas, words: str) -> None:
    """Sausages on a pole."""
    animals.pole(canvas, 120)
    for x, length in ((300, 400), (480, 440), (660, 410), (840, 450), (1000, 390)):
        animals.sausages(canvas, x, 190, length)
    del words


def fresh_fish(canvas: Canvas, words: str) -> None:
    """A fish from the rice terraces."""
    grain.ears_of_rice(canvas, 130, 720, 430, rgb("#d9a93e"))
    packs.plate(canvas, 620, 770, 480, 96)
    animals.fish(canvas, 620, 735, 720, canvas.rng.choice((rgb("#8f8a74"), rgb("#b98a5a"))))
    del words


def dried_fish(canvas: Canvas, words: str) -> None:
    """Small dried fish with their pouch."""
    packs.pouch(canvas, 310, 800, 520, words, rgb("#9a8a6a"))
    for x, y in ((760, 610), (880, 665), (770, 720), (900, 775), (780, 825)):
        canvas.shadow(x, y + 26, 190, 12)
        animals.fish(canvas, x, y, 400, rgb("#a08c66"), dried=True)


def beef(canvas: Canvas, words: str) -> None:
    """A cut of beef."""
    packs.plate(canvas, 600, 770, 470, 100)
    animals.beef(canvas, 600, 720, 310)
    draw_sprig(canvas, 960, 740, length=230, angle=-128, colour=GREEN)
    del words
