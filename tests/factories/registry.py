"""Regions, households, cooperatives, buyer units, enrolments. Places are real, people and numbers invented.

`RegionFactory(code=…)` finds or makes a place with everything above it. `HouseholdFactory()` lives in 鳌溪村 of 乐安县,
has a head and a second member, and is a registered household since 2014; `HouseholdFactory(status=None)` has no
status. Counting as a beneficiary also needs a policy: `beneficiary_policy()`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import factory
from stdnum.cn import ric, uscc

from marketplace.core.crypto import DataKey
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import OrganisationKind, Role, User
from marketplace.registry.models import (
    BeneficiaryPolicy,
    BuyerUnit,
    Cooperative,
    CooperativeState,
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    HouseholdStatusKind,
    Region,
    RegionLevel,
    UnitKind,
)
from tests.factories.base import RowFactory
from tests.factories.identity import OrganisationFactory, UserFactory

KEY = DataKey.from_hex("5f" * 32)  # the `data_key` fixture
COUNTY = "361025"
TOWNSHIP = "361025100"
VILLAGE = "361025100200"
NEXT_VILLAGE = "361025100201"
OTHER_TOWNSHIP_VILLAGE = "361025101200"
OTHER_COUNTY_VILLAGE = "360827100001"
NAMES = {
    "36": "江西省",
    "3603": "萍乡市",
    "3608": "吉安市",
    "3610": "抚州市",
    "360321": "莲花县",
    "360827": "遂川县",
    COUNTY: "乐安县",
    "360827100": "泉江镇",
    TOWNSHIP: "鳌溪镇",
    "361025101": "公溪镇",
    OTHER_COUNTY_VILLAGE: "水南社区居委会",
    VILLAGE: "鳌溪村委会",
    NEXT_VILLAGE: "桥背村委会",
    OTHER_TOWNSHIP_VILLAGE: "公溪村委会",
}
LEVELS = {
    2: RegionLevel.PROVINCE,
    4: RegionLevel.PREFECTURE,
    6: RegionLevel.COUNTY,
    9: RegionLevel.TOWNSHIP,
    12: RegionLevel.VILLAGE,
}
PARENT_LENGTH = {4: 2, 6: 4, 9: 6, 12: 9}


def resident_id(serial: int, *, county: str = COUNTY, born: str = "19700101") -> str:
    """An invented ID number, valid in form; another for each `serial`."""
    body = f"{county}{int(born) + 10_000 * (serial // 1000 % 30)}{serial % 1000:03d}"
    return body + ric.calc_check_digit(body + "0")


def credit_code(serial: int, *, county: str = COUNTY, kind: str = "93") -> str:
    """An invented unified social credit code; cooperatives begin with 93, public institutions with 12."""
    body = f"{kind}{county}{serial:09d}"
    return body + uscc.calc_check_digit(body + "0")


class RegionFactory(RowFactory):
    """The place with that code, and the places above it."""

    class Meta:
        model = Region
        sqlalchemy_get_or_create = ("code",)

    code = VILLAGE
    name = factory.LazyAttribute(lambda place: NAMES.get(place.code, f"{place.code[-3:]}村委会"))
    level = factory.LazyAttribute(lambda place: LEVELS[len(place.code)])
    parent_code = factory.LazyAttribute(
        lambda place: (
            RegionFactory(code=place.code[: PARENT_LENGTH[len(place.code)]]).code
            if len(place.code) > 2
            else None
        )
    )
    full_name = factory.LazyAttribute(
        lambda place: (
            "".join(NAMES.get(place.code[:length], "") for length in (4, 6, 9) if length < len(place.code))
            + place.name
        )
    )


def beneficiary_policy(region_code: str = "36", year: int = 2014) -> None:
    """Registered and exited households count, at-risk ones from 2020 on, until a later policy says otherwise."""
    RegionFactory(code=region_code)
    for since in sorted({year, max(year, 2020)}):
        for status in HouseholdStatusKind:
            counts = status in (HouseholdStatusKind.REGISTERED, HouseholdStatusKind.EXITED) or (
                status is HouseholdStatusKind.AT_RISK and since >= 2020
            )
            BeneficiaryPolicyFactory(region_code=region_code, year=since, status=status, counts=counts)


class BeneficiaryPolicyFactory(RowFactory):
    """One status of one jurisdiction and year."""

    class Meta:
        model = BeneficiaryPolicy
        sqlalchemy_get_or_create = ("region_code", "year", "status")

    region_code = "36"
    year = 2014
    status = HouseholdStatusKind.REGISTERED
    counts = True


class HouseholdMemberFactory(RowFactory):
    """A person of a household; `id_number` is kept sealed with the tests' key."""

    class Meta:
        model = HouseholdMember

    class Params:
        serial = factory.Sequence(int)
        household = None
        id_number = factory.LazyAttribute(lambda person: resident_id(person.serial))

    public_no = factory.Sequence(lambda n: f"M-TEST{n:06d}")
    household_id = factory.LazyAttribute(lambda person: person.household.id)
    person_no = factory.LazyAttribute(lambda person: f"{36_000_000_0000 + person.serial:012d}")
    name = factory.LazyAttribute(lambda person: f"陈家{person.serial}")
    relation = "之子"
    is_head = False
    id_number_sealed = factory.LazyAttribute(
        lambda person: KEY.seal(person.id_number, context=f"household_member.id_number:{person.public_no}")
    )
    id_number_index = factory.LazyAttribute(
        lambda person: KEY.blind_index(person.id_number, column="household_member.id_number")
    )


class HouseholdStatusFactory(RowFactory):
    """What a household was from a day on, known since the beginning of 2014."""

    class Meta:
        model = HouseholdStatus

    class Params:
        household = None

    household_id = factory.LazyAttribute(lambda status: status.household.id)
    status = HouseholdStatusKind.REGISTERED
    valid_from = date(2014, 1, 1)
    known_at = datetime(2014, 1, 2, tzinfo=UTC)
    reason = "建档立卡"


class HouseholdFactory(RowFactory):
    """A registered household with a head and one more member."""

    class Meta:
        model = Household

    class Params:
        place = factory.SubFactory(RegionFactory)

    registry_no = factory.Sequence(lambda n: f"{3_600_000_000 + n}")
    head_name = factory.Sequence(lambda n: f"陈大{n}")
    village_code = factory.LazyAttribute(lambda household: household.place.code)
    county_code = factory.LazyAttribute(lambda household: household.village_code[:6])

    head = factory.RelatedFactory(
        HouseholdMemberFactory,
        "household",
        is_head=True,
        relation="户主",
        name=factory.SelfAttribute("household.head_name"),
    )
    second = factory.RelatedFactory(HouseholdMemberFactory, "household")
    status = factory.RelatedFactory(HouseholdStatusFactory, "household")


class CooperativeFactory(RowFactory):
    """An admitted cooperative of 鳌溪村."""

    class Meta:
        model = Cooperative

    class Params:
        serial = factory.Sequence(lambda n: n + 1)
        place = factory.SubFactory(RegionFactory)

    name = factory.LazyAttribute(lambda cooperative: f"乐安县第{cooperative.serial}油茶专业合作社")
    organisation = factory.SubFactory(
        OrganisationFactory,
        kind=OrganisationKind.COOPERATIVE,
        name=factory.SelfAttribute("..name"),
        region_code=factory.SelfAttribute("..county_code"),
    )
    id = factory.SelfAttribute("organisation.id")
    uscc = factory.LazyAttribute(lambda cooperative: credit_code(cooperative.serial))
    village_code = factory.LazyAttribute(lambda cooperative: cooperative.place.code)
    county_code = factory.LazyAttribute(lambda cooperative: cooperative.village_code[:6])
    legal_person = "罗春生"
    phone = factory.LazyAttribute(lambda cooperative: f"139{cooperative.serial:08d}")
    state = CooperativeState.ADMITTED
    admitted_at = datetime(2020, 1, 1, tzinfo=UTC)


class BuyerUnitFactory(RowFactory):
    """The canteen of an office in 乐安县."""

    class Meta:
        model = BuyerUnit

    class Params:
        serial = factory.Sequence(lambda n: n + 1)
        place = factory.SubFactory(RegionFactory, code=COUNTY)

    name = factory.LazyAttribute(lambda unit: f"乐安县第{unit.serial}局机关食堂")
    organisation = factory.SubFactory(
        OrganisationFactory,
        kind=OrganisationKind.BUYER_UNIT,
        name=factory.SelfAttribute("..name"),
        region_code=factory.SelfAttribute("..county_code"),
    )
    id = factory.SelfAttribute("organisation.id")
    kind = UnitKind.OFFICE
    uscc = factory.LazyAttribute(lambda unit: credit_code(unit.serial, kind="12"))
    county_code = factory.LazyAttribute(lambda unit: unit.place.code)
    address = "鳌溪镇迎宾大道 1 号"
    contact_name = "何秋云"
    contact_phone = "13800000000"


class EnrolmentFactory(RowFactory):
    """A household that a cooperative took in and that has acknowledged it."""

    class Meta:
        model = Enrolment

    household = factory.SubFactory(HouseholdFactory)
    cooperative = factory.SubFactory(CooperativeFactory)
    household_id = factory.SelfAttribute("household.id")
    cooperative_id = factory.SelfAttribute("cooperative.id")
    state = EnrolmentState.ACKNOWLEDGED
    enrolled_on = date(2020, 1, 1)
    acknowledged_at = factory.LazyAttribute(
        lambda enrolment: (
            datetime(2020, 1, 2, tzinfo=UTC)
            if enrolment.state in (EnrolmentState.ACKNOWLEDGED, EnrolmentState.ENDED)
            else None
        )
    )


def user_of(body: Cooperative | BuyerUnit, *roles: Role) -> User:
    """A person of a cooperative (its manager when no role is named) or of a buyer unit (all four duties)."""
    duties = (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER)
    default = (Role.COOPERATIVE_MANAGER,) if isinstance(body, Cooperative) else duties
    user: User = UserFactory(granted=roles or default, organisation=body.organisation)
    return user


def actor_at(body: Cooperative | BuyerUnit, *roles: Role) -> Actor:
    """What `user_of` is to a rule."""
    return actor_of(user_of(body, *roles))


def user_of_household(household: Household) -> User:
    """The household's own account."""
    user: User = UserFactory(granted=(Role.HOUSEHOLD,), display_name=household.head_name)
    household.user_id = user.id
    return user
