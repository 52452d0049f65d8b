"""Segmentation, pinyin, measures and synonyms; the shipped word lists."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from marketplace.catalog.content.read import categories, synonyms, user_dictionary
from marketplace.catalog.search.priority import priority_score
from marketplace.catalog.search.text import (
    QUERY_CONCEPTS,
    Kind,
    concepts_of,
    heads_of,
    nearest_word,
    normalise,
    tokens_of,
    words_of,
)


def asked(query: str) -> list[str]:
    return [concept.text for concept in concepts_of(query)]


def test_local_names_are_words_of_their_own():
    assert "军山湖" in words_of("军山湖大闸蟹")
    assert "大闸蟹" in words_of("军山湖大闸蟹")
    assert "狗牯脑茶" in words_of("遂川狗牯脑茶上市")
    assert "霉豆腐" in words_of("乐安霉豆腐一坛")


def test_a_name_is_found_by_its_sound_from_the_beginning_of_each_word():
    assert set(tokens_of("赣南脐橙").pinyin) == {"gannanqicheng", "gnqc", "qicheng", "qc"}


def test_a_name_says_last_what_the_thing_is():
    assert "山茶油" in heads_of("冷榨山茶油 500ml").words
    assert "山茶油" not in heads_of("山茶油手工皂").words
    assert heads_of("Ninghong 500g").words == ()


@pytest.mark.parametrize(
    "text", ["5斤", "2.5kg", "2.5公斤", "2500克", "2500g", "５ 斤".replace(" ", ""), "50两"]
)
def test_the_same_mass_is_the_same_word(text):
    assert "2500g" in words_of(text)


def test_a_volume_is_no_mass():
    assert words_of("1.5升")[0] == words_of("1500毫升")[0] == "1500ml"


def test_text_is_read_in_half_width_and_lower_case():
    assert normalise("ＬＢ－１８ Ａ级，２．５kg。").split() == ["lb", "18", "a级", "2.5kg"]


def test_a_compound_of_place_and_goods_is_asked_as_both():
    assert asked("赣南脐橙") == ["赣南", "脐橙"]
    assert asked("遂川金桔 5斤") == ["遂川", "金桔", "5斤"]


def test_small_words_are_passed_over_unless_they_are_all_there_is():
    assert asked("我要买赣南的脐橙") == ["赣南", "脐橙"]
    assert asked("的") == ["的"]


def test_a_synonym_is_asked_in_every_way():
    words = {
        term.text for terms in concepts_of("茶油")[0].alternatives for term in terms if term.kind is Kind.WORD
    }
    assert {"茶油", "山茶油", "油茶籽油", "camellia", "oil"} <= words


def test_a_general_word_asks_for_its_kinds_but_not_the_other_way_round():
    def words(query):
        return {term.text for terms in concepts_of(query)[0].alternatives for term in terms}

    assert {"脐橙", "蜜桔"} <= words("orange")
    assert "蜜桔" not in words("脐橙")


def test_a_long_query_asks_a_bounded_number_of_things():
    assert len(concepts_of(" ".join(user_dictionary()))) <= QUERY_CONCEPTS
    assert len(concepts_of("a1b2c3" * 300)) <= QUERY_CONCEPTS


@given(st.text(max_size=300))
def test_any_text_becomes_tokens_that_hold_no_space(text):
    tokens = tokens_of(text)
    for token in (*tokens.words, *tokens.pairs, *tokens.pinyin, *words_of(text), *heads_of(text).words):
        assert token
        assert not re.search(r"\s", token)
        token.encode()


@given(st.text(max_size=300))
def test_any_query_asks_for_something_that_can_be_looked_up(text):
    for concept in concepts_of(text):
        assert concept.alternatives
        assert all(terms and all(term.text for term in terms) for terms in concept.alternatives)


def test_the_nearest_word_sounds_the_same_or_nearly():
    known = [("脐橙", 3), ("赣南", 9), ("金桔", 1), ("香菇", 2)]
    assert (nearest_word("奇橙", known).word, nearest_word("奇橙", known).same_sound) == ("脐橙", True)
    assert (nearest_word("xianggu", known).word, nearest_word("xiangu", known).word) == ("香菇", "香菇")
    assert not nearest_word("zzz", known).word
    assert not nearest_word("", known).word


# Priority entry


def test_one_household_more_outweighs_any_share():
    assert priority_score(13, 0) > priority_score(12, 10_000)
    assert priority_score(12, 10_000) > priority_score(12, 9_999)
    assert priority_score(12, 20_000) == priority_score(12, 10_000)
    assert priority_score(0) == 0


def test_there_are_no_negative_households():
    with pytest.raises(ValueError, match="negative"):
        priority_score(-1)


# The shipped lists


def test_the_category_tree_has_the_families_of_the_work_plan():
    rows = {row.code: row for row in categories()}
    families = {
        root: [r.name_zh for r in rows.values() if r.parent_code == root] for root in ("forest", "farm")
    }
    assert families == {
        "forest": ["油茶", "竹类", "香精香料", "森林药材", "苗木花卉", "森林景观利用", "林下经济"],
        "farm": ["稻米", "蔬菜", "果业", "草地畜牧", "水产", "茶叶"],
    }
    for family in (row for row in rows.values() if row.parent_code in families):
        assert 2 <= sum(row.parent_code == family.code for row in rows.values()) <= 5


def test_each_category_is_complete_and_stands_under_its_parent():
    rows = {row.code: row for row in categories()}
    for row in rows.values():
        assert row.name_zh
        assert row.name_en.isascii()
        assert row.unit
        assert 300 <= row.min_linkage_bp <= 800
        assert len(row.path) <= 160
        assert row.path.split("/") == (
            [*rows[row.parent_code].path.split("/")] if row.parent_code else []
        ) + [row.code]


def test_the_word_lists_hold_words_and_no_slips():
    assert len(user_dictionary()) > 300
    assert all(re.fullmatch("[\u4e00-\u9fff]{2,8}", word) for word in user_dictionary())
    for word, equals in synonyms().expansions.items():
        assert equals[0] == word
        assert all(equal == equal.strip().lower() and equal for equal in equals)
        assert len(equals) > 1
