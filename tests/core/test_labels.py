"""Codes in the database, words for people, and the refusals that carry them."""

from __future__ import annotations

import copy
import pickle

from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.labels import N_, LabelledEnum


class Fruit(LabelledEnum):
    NAVEL_ORANGE = "navel_orange", N_("脐橙")
    UNNAMED = "unnamed"


def test_a_labelled_code_is_its_value_and_knows_its_label():
    assert Fruit.NAVEL_ORANGE == "navel_orange"
    assert f"{Fruit.NAVEL_ORANGE}" == "navel_orange"
    assert Fruit.NAVEL_ORANGE.label == "脐橙"
    assert Fruit.UNNAMED.label == ""
    assert Fruit("navel_orange") is Fruit.NAVEL_ORANGE
    assert list(Fruit) == [Fruit.NAVEL_ORANGE, Fruit.UNNAMED]


def test_a_labelled_code_survives_copying():
    assert copy.deepcopy(Fruit.NAVEL_ORANGE) is Fruit.NAVEL_ORANGE
    assert pickle.loads(pickle.dumps(Fruit.NAVEL_ORANGE)) is Fruit.NAVEL_ORANGE


def test_a_refusal_says_what_to_fix():
    refusal = Refused("too_much", N_("最多只能购买 %(left)s 份"), field="quantity", left=3)
    assert str(refusal) == "最多只能购买 3 份"
    assert (refusal.code, refusal.field, refusal.params) == ("too_much", "quantity", {"left": 3})


def test_a_message_without_parameters_may_hold_a_percent_sign():
    assert str(Refused("share", "比例之和超过 100%")) == "比例之和超过 100%"


def test_refusals_have_the_status_of_their_kind():
    refusals: list[DomainError] = [Refused("x", "y"), NotFound(), Forbidden(), Conflict("x", "y")]
    assert [refusal.status for refusal in refusals] == [422, 404, 403, 409]
