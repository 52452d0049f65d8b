"""The terms of an agreement: what is kept, and what is refused with the field named."""

from __future__ import annotations

import pytest

from marketplace.core.errors import Refused
from marketplace.linkage.mechanisms.contract_farming import mechanism as contract_farming
from marketplace.linkage.mechanisms.land_transfer import mechanism as land_transfer
from tests.factories.linkage import CONTRACT_TERMS, lease_terms, parcel_no


def test_contract_terms_are_kept_as_integers_with_their_unit():
    kept = contract_farming.validate_terms({**CONTRACT_TERMS, "commodity": "  油茶籽 "})
    assert kept == {
        "commodity": "油茶籽",
        "floor_price_fen_per_kg": 800,
        "premium_fen_per_kg": 50,
        "guarantee_days": 30,
    }
    assert [(line.label, line.text % line.params) for line in contract_farming.describe_terms(kept)] == [
        ("收购品种", "油茶籽"),
        ("保底价", "8.00 元/千克"),
        ("加价", "0.50 元/千克"),
        ("保底兑付期限", "过磅后 30 天"),
    ]


@pytest.mark.parametrize(
    ("term", "value", "code"),
    [
        ("commodity", None, "term_missing"),
        ("commodity", "  ", "term_missing"),
        ("commodity", "茶" * 61, "term_form"),
        ("floor_price_fen_per_kg", None, "term_missing"),
        ("floor_price_fen_per_kg", 8.5, "term_missing"),
        ("floor_price_fen_per_kg", "800", "term_missing"),
        ("floor_price_fen_per_kg", True, "term_missing"),
        ("floor_price_fen_per_kg", 0, "term_range"),
        ("floor_price_fen_per_kg", -1, "term_range"),
        ("floor_price_fen_per_kg", 1_000_001, "term_range"),
        ("premium_fen_per_kg", -1, "term_range"),
        ("guarantee_days", 366, "term_range"),
        ("guarantee_days", None, "term_missing"),
    ],
)
def test_a_contract_with_a_wrong_term_is_refused_naming_the_field(term, value, code):
    with pytest.raises(Refused) as refusal:
        contract_farming.validate_terms({**CONTRACT_TERMS, term: value})
    assert (refusal.value.code, refusal.value.field) == (code, term)


@pytest.mark.parametrize("module", [contract_farming, land_transfer])
def test_a_term_of_another_mechanism_is_refused(module):
    with pytest.raises(Refused) as refusal:
        module.validate_terms({**CONTRACT_TERMS, **lease_terms(1)})
    assert refusal.value.code == "unknown_term"


def test_lease_terms_are_kept_with_their_parcels():
    kept = land_transfer.validate_terms(lease_terms(1, 2))
    assert kept["parcels"] == [
        {"parcel_no": parcel_no(1), "area_cmu": 1000},
        {"parcel_no": parcel_no(2), "area_cmu": 1000},
    ]
    assert [(line.label, line.text % line.params) for line in land_transfer.describe_terms(kept)] == [
        ("土地承包经营权证号", "361025100200010001J"),
        ("地块", f"{parcel_no(1)}，10 亩"),
        ("地块", f"{parcel_no(2)}，10 亩"),
        ("年租金", "每亩 150.00 元"),
        ("每年按天数折算", "365 天"),
    ]


PARCEL = {"parcel_no": parcel_no(1), "area_cmu": 1000}


@pytest.mark.parametrize(
    ("term", "value", "code"),
    [
        ("right_certificate_no", "", "term_missing"),
        ("right_certificate_no", "12", "term_form"),
        ("right_certificate_no", "no such certificate!", "term_form"),
        ("rate_fen_per_mu", 0, "term_range"),
        ("rate_fen_per_mu", None, "term_missing"),
        ("days_in_year", 364, "term_form"),
        ("days_in_year", 12, "term_range"),
        ("parcels", None, "no_parcels"),
        ("parcels", [], "no_parcels"),
        ("parcels", ["361025100200010000"], "no_parcels"),
        ("parcels", [PARCEL] * 51, "too_many_parcels"),
        ("parcels", [PARCEL, PARCEL], "parcel_twice"),
        ("parcels", [{**PARCEL, "area_cmu": 0}], "term_range"),
        ("parcels", [{**PARCEL, "area_cmu": 100_001}], "term_range"),
        ("parcels", [{**PARCEL, "area_cmu": 10.5}], "term_missing"),
        ("parcels", [{**PARCEL, "parcel_no": "1号地"}], "term_form"),
        ("parcels", [{**PARCEL, "parcel_no": "4" * 19}], "term_form"),
        ("parcels", [{**PARCEL, "owner": "x"}], "unknown_term"),
    ],
)
def test_a_lease_with_a_wrong_term_is_refused_naming_the_field(term, value, code):
    with pytest.raises(Refused) as refusal:
        land_transfer.validate_terms({**lease_terms(1), term: value})
    assert refusal.value.code == code
    assert refusal.value.field in (term, None)
