"""Ten weigh slips on a phone: who, how much, save; everything else as on the slip before."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.identity.models import Role
from marketplace.linkage.mechanisms.contract_farming.models import WeighSlip
from marketplace.linkage.mechanisms.contract_farming.rules import following_slip_no
from marketplace.linkage.models import Entitlement, Evidence
from tests.factories.linkage import CONTRACT_TERMS, ContractFactory, LotFactory, weigh
from tests.factories.registry import EnrolmentFactory, beneficiary_policy, user_of

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def agreement(session):
    beneficiary_policy()
    return ContractFactory()


@pytest.fixture
def lot(session, agreement):
    return LotFactory(cooperative=agreement.cooperative)


@pytest.fixture
def office(session, client, agreement, lot):
    session.commit()
    client.sign_in(user_of(agreement.cooperative, Role.COOPERATIVE_CLERK))
    return client


def address(lot):
    return f"/linkage/lots/{lot.public_no}/slips/quick"


@pytest.mark.parametrize(
    ("slip_no", "following"),
    [("1", "2"), ("GB-0017", "GB-0018"), ("GB-0999", "GB-1000"), ("9", "10"), ("A9B", ""), ("9" * 40, "")],
)
def test_the_number_of_the_next_slip_counts_up(slip_no, following):
    assert following_slip_no(slip_no) == following


def test_the_next_slip_begins_as_the_last_one(session, office, agreement, lot):
    fields = {"grade": "特级", "market_price_fen_per_kg": 960, "weighed_on": date(2026, 5, 31)}
    weigh(session, agreement, lot, slip_no="GB-0009", net_g=12_500, **fields)
    session.commit()
    page = office.get(address(lot)).text
    for value in ("GB-0010", "特级", "9.60", "2026-05-31", "罗春生"):
        assert f'value="{value}"' in page


def test_the_day_and_price_of_another_day_are_not_offered(session, office, agreement, lot, clock):
    weigh(session, agreement, lot, slip_no="9", net_g=12_500, market_price_fen_per_kg=960)
    session.commit()
    clock.advance(days=1)
    page = office.get(address(lot)).text
    assert 'value="10"' in page
    assert 'value="2026-06-02"' in page
    assert 'value="9.60"' not in page


def test_ten_slips_one_after_the_other(session, office, agreement, lot):
    typed = {
        "agreement_no": agreement.public_no,
        "slip_no": "GB-01",
        "net_g": "12.5",
        "grade": "统货",
        "weighed_on": "2026-06-01",
        "cooperative_signer": "罗春生",
    }
    for serial in range(1, 11):
        answer = office.post(address(lot), data={**typed, "slip_no": f"GB-{serial:02d}"})
        page = office.get(answer.location).text
        assert f'value="GB-{serial + 1:02d}"' in page
    assert all(words in page for words in ("10 张", "125", "1,062.50"))
    assert session.scalar(select(func.count(Entitlement.id))) == 10
    assert set(session.scalars(select(WeighSlip.household_signer))) == {agreement.household.head_name}


def test_a_refused_slip_keeps_what_was_typed_and_changes_nothing(session, office, agreement, lot):
    typed = {
        "agreement_no": agreement.public_no,
        "slip_no": "1",
        "net_g": "0",
        "grade": "统货",
        "weighed_on": "2026-06-01",
        "cooperative_signer": "罗春生",
    }
    answer = office.post(address(lot), data=typed)
    assert (answer.status_code, "净重须大于零" in answer.text) == (422, True)
    assert f'<option selected value="{agreement.public_no}">' in answer.text
    assert "请选择交货的农户" in office.post(address(lot), data={**typed, "agreement_no": ""}).text
    assert session.scalar(select(func.count(Evidence.id))) == 0


def test_only_people_with_a_contract_for_this_produce_are_offered(session, office, agreement, lot):
    oranges = ContractFactory(
        enrolment=EnrolmentFactory(cooperative=agreement.cooperative, household__head_name="何有田"),
        version__terms={**CONTRACT_TERMS, "commodity": "脐橙"},
    )
    session.commit()
    page = office.get(address(lot)).text
    assert agreement.household.head_name in page
    assert oranges.household.head_name not in page
    typed = {"agreement_no": oranges.public_no, "slip_no": "1", "net_g": "1", "cooperative_signer": "罗"}
    assert office.post(address(lot), data=typed).status_code == 422
    assert office.get(address(LotFactory())).status_code == 404
