"""Buyer units are registered by the operator; their four duties are filled by their people."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from marketplace.core.clock import now
from marketplace.core.errors import Forbidden, NotFound, Refused
from marketplace.identity.models import OrganisationKind, Role, TrailEntry, User
from marketplace.registry.buyer_units.queries import (
    count_units_with_vacancies,
    has_second_pair_of_eyes,
    people_of,
    tasks_of,
    unit_by_no,
    units_visible_to,
    vacancies_of,
    vacant_duties,
)
from marketplace.registry.buyer_units.rules import change_buyer_unit, register_buyer_unit
from marketplace.registry.models import BuyerUnit, UnitKind
from tests.factories.identity import UserFactory, actor_with, official_with
from tests.factories.registry import (
    OTHER_COUNTY_VILLAGE,
    BuyerUnitFactory,
    RegionFactory,
    actor_at,
    credit_code,
    user_of,
)

FACTS = {
    "name": "乐安县第一中学食堂",
    "kind": UnitKind.SCHOOL,
    "uscc": credit_code(700_001, kind="12"),
    "county_code": "361025",
    "address": "鳌溪镇迎宾大道 1 号",
    "contact_name": "何秋云",
    "contact_phone": "0794-6571234",
}


@pytest.fixture
def operator(session):
    RegionFactory()
    return actor_with(Role.OPERATOR)


def test_the_operator_registers_a_unit_with_its_organisation(session, operator):
    unit = register_buyer_unit(session, operator, **FACTS)
    session.expire(unit)
    assert (unit.organisation.kind, unit.organisation.region_code) == (OrganisationKind.BUYER_UNIT, "361025")
    assert (unit.id, unit.contact_phone) == (unit.organisation.id, "07946571234")
    entry = session.query(TrailEntry).filter_by(action="registry.register_buyer_unit").one()
    assert (entry.buyer_unit_id, entry.county_code, entry.subject_no) == (unit.id, "361025", unit.public_no)


@pytest.mark.parametrize(
    ("facts", "field", "code"),
    [
        ({"uscc": "123"}, "uscc", "uscc_length"),
        ({"uscc": FACTS["uscc"][:-1] + ("0" if FACTS["uscc"][-1] != "0" else "1")}, "uscc", "uscc_check"),
        ({"uscc": credit_code(3)}, "uscc", "uscc_of_cooperative"),
        ({"county_code": "999999"}, "county_code", "unknown_county"),
        ({"county_code": "361025100"}, "county_code", "unknown_county"),
        ({"name": " "}, "name", "text_length"),
        ({"address": "长" * 201}, "address", "text_length"),
        ({"contact_phone": "12"}, "contact_phone", "mobile_form"),
    ],
)
def test_each_wrong_fact_is_refused_at_its_field(session, operator, facts, field, code):
    with pytest.raises(Refused) as refusal:
        register_buyer_unit(session, operator, **{**FACTS, **facts})
    assert (refusal.value.field, refusal.value.code) == (field, code)
    session.rollback()
    assert session.query(BuyerUnit).count() == 0


def test_a_credit_code_stands_for_one_unit(session, operator):
    other = BuyerUnitFactory(uscc=FACTS["uscc"])
    with pytest.raises(Refused) as refusal:
        register_buyer_unit(session, operator, **FACTS)
    assert refusal.value.code == "uscc_taken"
    change_buyer_unit(session, operator, other, **{**FACTS, "name": "改了名的食堂"})
    assert other.organisation.name == "改了名的食堂"
    with pytest.raises(IntegrityError):
        BuyerUnitFactory(uscc=FACTS["uscc"])


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
def test_nobody_but_the_operator_registers_units(session, role):
    RegionFactory()
    with pytest.raises(Forbidden):
        register_buyer_unit(session, actor_with(role), **FACTS)
    assert session.query(BuyerUnit).count() == 0


def test_a_unit_is_seen_by_its_people_and_the_operator(session, operator):
    own, other = BuyerUnitFactory(), BuyerUnitFactory()
    payer = actor_at(own, Role.UNIT_PAYER)
    assert session.scalars(units_visible_to(payer)).all() == [own]
    assert session.scalars(units_visible_to(operator)).all() == [other, own]
    assert session.scalars(units_visible_to(operator, text=own.uscc.lower())).all() == [own]
    with pytest.raises(NotFound):
        unit_by_no(session, payer, other.public_no)


def test_a_unit_with_a_vacant_duty_is_named(session, operator):
    full, lacking = BuyerUnitFactory(), BuyerUnitFactory()
    user_of(full)
    user_of(lacking, Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER)
    gone = user_of(lacking, Role.UNIT_PAYER)
    assert count_units_with_vacancies(session) == 0
    gone.disabled_at = now()
    session.flush()
    assert vacant_duties(people_of(session, lacking)) == [Role.UNIT_PAYER]
    assert vacancies_of(session, [full.id, lacking.id]) == {full.id: 0, lacking.id: 1}
    assert [task.count for task in tasks_of(session, operator)] == [1]
    assert tasks_of(session, actor_at(full)) == []


def test_whoever_orders_needs_somebody_else_to_approve(session):
    unit = BuyerUnitFactory()
    user_of(unit)
    assert not has_second_pair_of_eyes(people_of(session, unit))
    user_of(unit, Role.UNIT_APPROVER)
    assert has_second_pair_of_eyes(people_of(session, unit))


# --- the pages ---


def typed(**facts):
    return {**FACTS, "kind": "school", **facts}


def test_the_operator_registers_a_unit_and_its_people_through_the_pages(client, session):
    RegionFactory()
    client.sign_in(official_with(Role.OPERATOR))
    wrong = client.post("/units/new", data=typed(uscc="123"))
    assert wrong.status_code == 422
    assert "现在是 3 位" in wrong.get_data(as_text=True)
    assert FACTS["address"] in wrong.get_data(as_text=True)
    made = client.post("/units/new", data=typed())
    unit = session.query(BuyerUnit).one()
    assert made.headers["Location"] == f"/units/{unit.public_no}"
    page = client.get(made.headers["Location"]).get_data(as_text=True)
    assert "还有岗位没有人" in page
    opening = f"/users/new?organisation={unit.organisation.public_no}"
    page = client.get(opening).get_data(as_text=True)
    assert f"单位：{unit.name}" in page
    assert "一个单位至少要有两个人" in page
    answer = client.post(
        opening,
        data={
            "display_name": "何秋云",
            "login_name": "he.qiuyun",
            "roles": ["unit_orderer", "unit_approver"],
        },
    )
    assert "只显示这一次" in answer.get_data(as_text=True)
    user = session.query(User).filter_by(login_name="he.qiuyun").one()
    assert user.role_codes == {Role.UNIT_ORDERER, Role.UNIT_APPROVER}
    assert "既能下单又能审批" in client.get(f"/units/{unit.public_no}").get_data(as_text=True)
    assert "系统会拒绝本人审批" in client.get(f"/users/{user.public_no}").get_data(as_text=True)
    client.post(f"/units/{unit.public_no}/edit", data=typed(name="乐安县实验中学食堂"))
    assert unit.name == "乐安县实验中学食堂"
    assert "乐安县实验中学食堂" in client.get("/units?q=实验").get_data(as_text=True)


def test_a_units_people_see_their_own_unit_and_no_other(client, session):
    own, other = BuyerUnitFactory(), BuyerUnitFactory()
    client.sign_in(user_of(own, Role.UNIT_RECEIVER))
    assert own.name in client.get("/unit").get_data(as_text=True)
    assert client.get(f"/units/{other.public_no}").status_code == 403
    assert client.get(f"/units/{own.public_no}").status_code == 403
    client.sign_in(UserFactory())
    assert client.get("/unit").status_code == 403
    client.sign_in(official_with(Role.OPERATOR))
    assert client.get("/units/B-0000000000").status_code == 404


def test_the_operator_opens_a_body_at_a_place(client, session):
    RegionFactory()
    RegionFactory(code=OTHER_COUNTY_VILLAGE)
    client.sign_in(official_with(Role.OPERATOR))
    assert client.post("/offices/new", data={"name": ""}).status_code == 422
    made = client.post("/offices/new", data={"name": "乐安县农业农村局", "county_code": "361025"})
    assert made.headers["Location"].startswith("/users/new?organisation=G-")
    again = client.post("/offices/new", data={"name": "乐安县农业农村局", "county_code": "361025"})
    assert again.status_code == 422
    assert "已经有同名的单位" in again.get_data(as_text=True)
    client.post("/offices/new", data={"name": "江西省督导组"})
    page = client.get("/offices").get_data(as_text=True)
    assert "抚州市乐安县" in page
    assert page.index("江西省督导组") < page.index("乐安县农业农村局")
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    assert client.get("/offices").status_code == 403
    assert client.post("/offices/new", data={"name": "假的单位"}).status_code == 403
