"""What people type into the shop, and what must come first: written queries over a small shop, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from marketplace.catalog.content.read import categories
from marketplace.catalog.search.engine import ListingDocument, SearchRequest, Sort

OPENED = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
TREE = {row.code: row for row in categories()}
COUNTIES = {
    "乐安县": "361025", "莲花县": "360321", "上犹县": "360724", "遂川县": "360827", "修水县": "360424",
    "广昌县": "361030", "寻乌县": "360734", "井冈山市": "360881", "兴国县": "360732", "余干县": "361127",
}  # fmt: skip
GOODS = """
赣南脐橙 10斤家庭装|赣南脐橙|navel-orange|寻乌县
纽荷尔脐橙礼盒 5kg|纽荷尔脐橙|navel-orange|上犹县
脐橙果干 250g|脐橙果干|other-fruit|寻乌县
脐橙苗 两年生|脐橙苗|seedling|上犹县
南丰蜜桔 5斤|南丰蜜桔|tangerine|乐安县
遂川金桔 3斤|遂川金桔|tangerine|遂川县
井冈蜜柚 四只装|井冈蜜柚|pomelo|井冈山市
冷榨山茶油 500ml|冷榨山茶油|camellia-oil|乐安县
山茶油手工皂 100g|山茶油手工皂|camellia-care|乐安县
狗牯脑茶 明前一级 250g|狗牯脑茶|green-tea|遂川县
上犹绿茶 200g|上犹绿茶|green-tea|上犹县
宁红工夫红茶 特级 200克|宁红工夫红茶|black-tea|修水县
修水金丝皇菊 50朵|金丝皇菊|other-tea|修水县
广昌通芯白莲 500g|通芯白莲|lotus|广昌县
莲子粉 冲饮装|莲子粉|lotus|广昌县
茶树菇干货 250g|茶树菇|mushroom|广昌县
高山香菇 干货 250g|香菇|mushroom|乐安县
野生黑木耳 200g|黑木耳|mushroom|遂川县
土蜂蜜 一斤装|土蜂蜜|honey|莲花县
散养土鸡蛋 30枚|土鸡蛋|forest-poultry|莲花县
井冈红米 2.5kg|井冈红米|red-rice|井冈山市
生态大米 10kg|生态大米|rice|余干县
乐安霉豆腐 两罐|霉豆腐|bean-tuber|乐安县
兴国红薯干 500g|红薯干|bean-tuber|兴国县
余干辣椒酱 两瓶|辣椒酱|dried-vegetable|余干县
梅干菜 500g|梅干菜|dried-vegetable|兴国县
遂川板鸭 整只|板鸭|cured-duck|遂川县
军山湖大闸蟹 八只装|军山湖大闸蟹|fish|余干县
烟笋干 500g|烟笋干|bamboo-shoot-dried|上犹县
多花黄精片 250g|黄精片|herb-root|莲花县
竹砧板 大号|竹砧板|bamboo-ware|莲花县
"""
QUERIES = [  # typed, what comes first
    ("脐橙", "赣南脐橙"),
    ("脐橙苗", "脐橙苗"),
    ("脐橙果干", "脐橙果干"),
    ("qicheng", "赣南脐橙"),
    ("gannan qicheng", "赣南脐橙"),
    ("gnqc", "赣南脐橙"),
    ("橙子", "赣南脐橙"),
    ("navel orange", "赣南脐橙"),
    ("奇橙", "赣南脐橙"),
    ("我要买10斤的脐橙", "赣南脐橙"),
    ("寻乌 脐橙", "赣南脐橙"),
    ("5公斤 脐橙", "赣南脐橙"),
    ("桔子", "南丰蜜桔"),
    ("金柑", "遂川金桔"),
    ("jgmy", "井冈蜜柚"),
    ("茶油", "冷榨山茶油"),
    ("油茶籽油", "冷榨山茶油"),
    ("茶籽油 500毫升", "冷榨山茶油"),
    ("camellia oil", "冷榨山茶油"),
    ("shanchayou", "冷榨山茶油"),
    ("香皂 山茶油", "山茶油手工皂"),
    ("绿茶", "上犹绿茶"),
    ("狗牯脑", "狗牯脑茶"),
    ("红茶", "宁红工夫红茶"),
    ("宁红", "宁红工夫红茶"),
    ("皇菊", "金丝皇菊"),
    ("莲子", "通芯白莲"),
    ("lotus seeds", "通芯白莲"),
    ("冬菇", "香菇"),
    ("xianggu", "香菇"),
    ("木耳", "黑木耳"),
    ("honey", "土蜂蜜"),
    ("鸡蛋", "土鸡蛋"),
    ("红米", "井冈红米"),
    ("dami", "生态大米"),
    ("腐乳", "霉豆腐"),
    ("地瓜干", "红薯干"),
    ("剁椒", "辣椒酱"),
    ("霉干菜", "梅干菜"),
    ("腊鸭", "板鸭"),
    ("大闸蟹", "军山湖大闸蟹"),
    ("dzx", "军山湖大闸蟹"),
    ("笋干", "烟笋干"),
    ("黄精", "黄精片"),
    ("砧板", "竹砧板"),
    ("余干 螃蟹", "军山湖大闸蟹"),
]


def document(number: int, title: str, name: str, kind: str, county: str) -> ListingDocument:
    path = tuple(TREE[kind].path.split("/"))
    return ListingDocument(
        listing_no=f"N-{number}",
        title=title,
        product_name=name,
        cooperative_no=f"C-{COUNTIES[county]}",
        cooperative_name=f"{county}山里人家专业合作社",
        category_code=kind,
        category_path=path,
        county_code=COUNTIES[county],
        county_name=county,
        price_fen=1_000 * number,
        keywords=tuple(text for code in path for text in (TREE[code].name_zh, TREE[code].name_en)),
        published_at=OPENED - timedelta(days=number),
    )


SHOP = {one.listing_no: one for one in (
    document(number, *line.split("|")) for number, line in enumerate(GOODS.strip().splitlines(), 1)
)}  # fmt: skip


@pytest.fixture
def shop(search_engine):
    search_engine.rebuild(SHOP.values())
    return search_engine


@pytest.mark.parametrize("sort", [Sort.PRIORITY, Sort.RELEVANCE])
def test_each_written_query_is_answered_with_the_goods_that_are_meant(shop, sort):
    first = {}
    for typed, _ in QUERIES:
        result = shop.search(SearchRequest(typed, sort=sort))
        first[typed] = SHOP[result.listing_nos[0]].product_name if result.listing_nos else "nothing"
    assert first == dict(QUERIES)


@pytest.mark.parametrize(
    ("typed", "meant"), [("奇橙", "脐橙"), ("guanchang", "广昌"), ("hongmi", ""), ("dangzaxie", "大闸蟹")]
)
def test_a_word_spelled_by_ear_is_answered_by_its_sound(shop, typed, meant):
    result = shop.search(SearchRequest(typed))
    assert result.suggestion == meant
