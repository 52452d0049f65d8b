"""The bonus above a year's quota: exact, growing with what came before, and the same when computed again."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select

from marketplace.core.errors import Refused
from marketplace.linkage.mechanisms.contract_farming.formula import (
    bonus_fen,
    offset_fen,
    over_quota_g,
)
from marketplace.linkage.mechanisms.contract_farming.mechanism import (
    describe_terms,
    explain,
    validate_terms,
)
from marketplace.linkage.mechanisms.contract_farming.models import SlipQuota
from marketplace.linkage.models import AgreementVersion, Entitlement
from marketplace.linkage.queries import recompute_entitlement
from tests.factories.linkage import CONTRACT_TERMS, ContractFactory, LotFactory, weigh
from tests.factories.registry import beneficiary_policy

pytestmark = pytest.mark.usefixtures("clock")

GRAMS = st.integers(1, 50_000_000)
QUOTA = {**CONTRACT_TERMS, "quota_g": 20_000, "bonus_share_bp": 1000}


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def agreement(session):
    return ContractFactory(version__terms=QUOTA)


@pytest.fixture
def lot(session, agreement):
    return LotFactory(cooperative=agreement.cooperative)


def amounts(session):
    return session.scalars(select(Entitlement.amount_fen).order_by(Entitlement.id)).all()


@pytest.mark.parametrize(
    ("net_g", "before_g", "quota_g", "over_g"),
    [
        (12_500, 0, 20_000, 0),
        (12_500, 12_500, 20_000, 5_000),
        (12_500, 25_000, 20_000, 12_500),
        (20_000, 0, 20_000, 0),
        (20_001, 0, 20_000, 1),
        (1, 20_000, 20_000, 1),
    ],
)
def test_only_what_lies_above_the_quota_counts(net_g, before_g, quota_g, over_g):
    assert over_quota_g(net_g, before_g, quota_g) == over_g


@given(GRAMS, GRAMS, st.integers(0, 10**9), st.integers(1, 10**9))
def test_two_slips_are_over_by_as_much_as_one_of_both(one_g, other_g, before_g, quota_g):
    apart = over_quota_g(one_g, before_g, quota_g) + over_quota_g(other_g, before_g + one_g, quota_g)
    assert apart == over_quota_g(one_g + other_g, before_g, quota_g)


@pytest.mark.parametrize(
    ("over_g", "price", "share_bp", "fen"),
    [(5_000, 850, 1000, 425), (1, 850, 1000, 0), (12_000, 999, 333, 399), (0, 850, 10_000, 0)],
)
def test_a_bonus_is_floored(over_g, price, share_bp, fen):
    assert bonus_fen(over_g, price, share_bp) == fen


@given(st.integers(0, 10**9), st.integers(-(10**6), 10**9), st.integers(0, 10_000))
def test_a_repayment_is_never_more_than_the_slip_or_what_is_owed(gross, outstanding, cap_bp):
    paid = offset_fen(gross, outstanding, cap_bp)
    assert 0 <= paid <= gross
    assert paid <= max(0, outstanding)


def test_slips_beyond_the_quota_earn_the_bonus(session, agreement, lot):
    weigh(session, agreement, lot, slip_no="1", net_g=12_500)
    weigh(session, agreement, lot, slip_no="2", net_g=12_500)  # 5 kg over: 10 % of 42.50
    weigh(session, agreement, lot, slip_no="3", net_g=1_000)
    assert amounts(session) == [10_625, 10_625 + 425, 850 + 85]
    assert session.scalars(select(SlipQuota.before_g).order_by(SlipQuota.id)).all() == [0, 12_500, 25_000]


def test_each_year_begins_anew(session):
    agreement = ContractFactory(version__terms=QUOTA, version__valid_from=date(2025, 1, 1))
    lot = LotFactory(cooperative=agreement.cooperative)
    weigh(session, agreement, lot, slip_no="1", net_g=30_000, weighed_on=date(2025, 12, 31))
    weigh(session, agreement, lot, slip_no="2", net_g=12_500, weighed_on=date(2026, 1, 1))
    assert amounts(session)[1] == 10_625


def test_each_version_of_the_agreement_begins_anew(session, agreement, lot):
    weigh(session, agreement, lot, slip_no="1", net_g=30_000)
    agreement.versions.append(AgreementVersion(version=2, valid_from=date(2026, 5, 25), terms=QUOTA))
    session.flush()
    weigh(session, agreement, lot, slip_no="2", net_g=12_500, weighed_on=date(2026, 5, 26))
    assert amounts(session)[1] == 10_625


def test_a_bonus_is_computed_again_to_the_same_fen(session, agreement, lot):
    for serial in ("1", "2", "3"):
        weigh(session, agreement, lot, slip_no=serial, net_g=12_345)
    session.commit()
    session.expire_all()
    for entitlement in session.scalars(select(Entitlement)).all():
        again = recompute_entitlement(session, entitlement)
        assert (again.amount_fen, again.inputs) == (entitlement.amount_fen, entitlement.inputs)


def test_the_page_tells_the_bonus(session, agreement, lot):
    weigh(session, agreement, lot, slip_no="1", net_g=25_000)
    told = {
        line.label: line.text % line.params
        for line in explain(session.scalars(select(Entitlement)).one().inputs)
    }
    assert told["货款"] == "212.50 元"
    assert told["超量奖励"] == "超出 5 千克，奖励 4.25 元"


def test_a_contract_without_the_later_terms_reads_as_before():
    raw = {**CONTRACT_TERMS, "cap_bp": 0, "quota_g": None, "bonus_share_bp": None}
    assert validate_terms(raw) == CONTRACT_TERMS
    assert len(describe_terms(CONTRACT_TERMS)) == 4


def test_the_later_terms_are_told():
    kept = validate_terms({**QUOTA, "cap_bp": 2550})
    told = {line.label: line.text % line.params for line in describe_terms(kept)}
    assert told["每年约定交货量"] == "20 千克"
    assert told["超量奖励"] == "超出部分按单价的 10% 奖励"
    assert told["每次最多抵扣货款"] == "每张过磅单货款的 25.5%，用来归还预付款"


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"cap_bp": -1}, "cap_bp"),
        ({"cap_bp": 10_001}, "cap_bp"),
        ({"quota_g": -5, "bonus_share_bp": 100}, "quota_g"),
        ({"quota_g": 1_000_000_001, "bonus_share_bp": 100}, "quota_g"),
        ({"quota_g": 1000}, "bonus_share_bp"),
        ({"bonus_share_bp": 100}, "quota_g"),
        ({"quota_g": 1000, "bonus_share_bp": 10_001}, "bonus_share_bp"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms, field):
    with pytest.raises(Refused) as refusal:
        validate_terms({**CONTRACT_TERMS, **terms})
    assert refusal.value.field == field
