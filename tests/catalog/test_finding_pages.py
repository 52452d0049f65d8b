"""Finding goods as a visitor does: what is typed, suggested, chosen and taken out again."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.conftest import Listening, MarketClient
from tests.factories.registry import CooperativeFactory
from tests.factories.trade import new_version, offer
from tests.journeys.paper import Paper, Visitor


@pytest.fixture
def shop(app: Flask, session: Session, client: MarketClient) -> Visitor:
    """Navel oranges of two cooperatives, and tea of one, for sale and indexed."""
    one, other = CooperativeFactory(), CooperativeFactory()
    for cooperative, title, price_fen in (
        (one, "赣南脐橙", 6_000), (other, "纽荷尔脐橙", 9_000), (one, "狗牯脑茶", 20_000),
    ):  # fmt: skip
        made = offer(session, cooperative)
        made.listing.product.name = title
        new_version(session, made, tiers=((1, price_fen),), title=title)
    session.commit()
    assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0
    return Visitor(client)


TITLES = ("赣南脐橙", "纽荷尔脐橙", "狗牯脑茶")


def titles(page: Paper) -> list[str]:
    """The goods on a page, in their order."""
    return [words for words, url in page.links if words in TITLES and url.startswith("/products/N-")]


# Bad input: a kind word, never an error, and nothing of what was typed is lost


@pytest.mark.parametrize("typed", ["！？", "🍊🍊", "* ~ ( ) ["])
def test_signs_alone_are_answered_with_a_word_and_all_goods(shop, typed):
    page = shop.open("/products?q=" + typed.replace(" ", "+"))
    assert page.has("您输入的都是标点或表情，没有可以查找的字", "共 3 件商品")
    assert len(titles(page)) == 3


def test_two_thousand_characters_are_cut_and_it_is_said(shop):
    page = shop.open("/products?q=" + "脐橙" * 1_000)
    assert page.has("输入的内容太长，只按前 200 个字查找。", "共 2 件商品")
    assert len(page.text) < 3_000


@pytest.mark.parametrize(
    ("query", "words", "count"),
    [
        ("from=abc", "价格没有看懂", 3),
        ("to=12.345", "价格没有看懂", 3),
        ("from=90&to=60", "最低价高于最高价", 0),
        ("from=60&to=90", "不低于 60.00 元", 2),
    ],
)
def test_a_price_that_cannot_be_is_named_and_kept(shop, query, words, count):
    typed = dict(part.split("=") for part in query.split("&"))
    page = shop.open(f"/products?{query}")
    assert page.has(words, f"共 {count} 件商品")
    form, _ = page.button("按价格筛选")
    assert {name: form.values[name] for name in typed} == typed


def test_an_operator_is_a_sign_like_any_other(shop):
    assert set(titles(shop.open("/products?q=脐橙+AND+(NOT"))) == {"纽荷尔脐橙", "赣南脐橙"}


# Prices by the kilogram


def test_cards_say_the_price_of_a_kilogram_and_goods_are_sorted_by_it(shop):
    page = shop.open("/products?sort=per_kg_up")
    assert titles(page) == ["赣南脐橙", "纽荷尔脐橙", "狗牯脑茶"]
    assert page.has("120.00/ 千克", "每千克价从低到高")


# Filters are taken out one by one or all at once


def test_each_chosen_filter_can_be_taken_out_alone_and_all_at_once(shop):
    page = shop.open("/products?q=脐橙&from=70&stock=1&page=1")
    assert page.has("不低于 70.00 元", "只看有货", "共 1 件商品", "筛选（已选 2 项）")
    without_price = page.link("不低于 70.00 元×去掉这个条件")
    assert "from=" not in without_price
    assert "stock=1" in without_price
    assert shop.open(without_price).has("共 2 件商品")
    cleared = shop.open(page.link("全部清除"))
    assert cleared.has("共 2 件商品", "“脐橙”的搜索结果")
    assert not cleared.has("已选 1 项")


def test_a_filter_nobody_knows_is_shown_and_can_be_taken_out(shop):
    page = shop.open("/products?county=nowhere")
    assert page.has("未知的产地", "没有找到商品")
    assert shop.open(page.link("未知的产地×去掉这个条件")).has("共 3 件商品")


# Suggestions


@pytest.mark.parametrize("typed", ["脐", "qicheng", "qc"])
def test_the_box_suggests_what_the_beginning_may_mean(shop, typed):
    answer = shop.client.get("/products/suggestions", query_string={"q": typed})
    assert set(re.findall(r'data-words="([^"]+)"', answer.text)) == {"纽荷尔脐橙", "赣南脐橙"}
    assert 'role="listbox"' in answer.text
    assert "href" not in answer.text


@pytest.mark.parametrize("typed", ["", "！", "xylophone", "狗牯脑 包邮", "x" * 2_000])
def test_nothing_is_suggested_where_nothing_is_meant(shop, typed):
    answer = shop.client.get("/products/suggestions", query_string={"q": typed})
    assert (answer.status_code, answer.text.strip()) == (200, "")


def test_suggestions_are_words_and_never_markup(shop):
    answer = shop.client.get("/products/suggestions", query_string={"q": "脐橙<script>"})
    assert "<script" not in answer.text


def test_finding_does_not_ask_once_a_product(shop, page_statements: Listening):
    with page_statements() as few:
        shop.open("/products?q=狗牯脑")
    with page_statements() as more:
        shop.open("/products")
    assert abs(len(more) - len(few)) <= 1  # whether any listing has the words
