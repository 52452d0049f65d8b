"""TEMPORARY content."""

from __future__ import annotations
from io import BytesIO
from PIL import Image
from marketplace.demo.entry import Seller, villages_near
from marketplace.demo.goods import Good
from marketplace.demo.scale import PILOT_COUNTIES
from marketplace.linkage.models import Mechanism

KINDS = (
    ("camellia-oil", "山茶油", "油茶籽", 2500, 500, True),
    ("red-rice", "井冈红米", "红稻谷", 7000, 5000, False),
    ("bamboo-shoot-dried", "笋干", "鲜笋", 1200, 500, False),
    ("navel-orange", "赣南脐橙", "脐橙", 10000, 5000, True),
    ("lotus", "广昌白莲", "鲜莲子", 4000, 500, False),
    ("honey", "土蜂蜜", "蜂蜜", 10000, 500, False),
)


def sellers_of(world):
    taken = set()
    out = []
    for p in range(world.scale.cooperatives):
        county = PILOT_COUNTIES[: world.scale.counties][p % world.scale.counties]
        out.append(
            Seller(
                f"第{p + 1}演示种养专业合作社", "演示合作社的介绍。", p, villages_near(world, county, taken)
            )
        )
    return out


def pic(n):
    b = BytesIO()
    Image.new("RGB", (600, 600), ((n * 37) % 255, (n * 91) % 255, 120)).save(b, "PNG")
    return b.getvalue()


def goods_of(world, sellers):
    out = []
    for n in range(world.scale.listings):
        s = sellers[n % len(sellers)]
        k = KINDS[(n // len(sellers)) % len(KINDS)]
        out.append(
            Good(
                n,
                s,
                s.villages[n % 3].code,
                k[0],
                k[1],
                f"{k[1]} {n}",
                "500g",
                "袋",
                k[4],
                k[4] + 100,
                365,
                "阴凉",
                "说明",
                k[2],
                k[3],
                600,
                40,
                ((1, 5800 + n), (10, 5500), (50, 5200)),
                {Mechanism.CONTRACT_FARMING: 3000, Mechanism.LAND_TRANSFER: 500},
                k[5],
                k[0] != "honey",
                lambda n=n: [pic(n)],
            )
        )
    return out
