"""The real tree of Jiangxi, and finding a place in it."""

import pytest
from sqlalchemy import func, select

from marketplace.core.errors import NotFound
from marketplace.registry.models import BeneficiaryPolicy, Region, RegionLevel
from marketplace.registry.queries import (
    children_of,
    counties,
    found_regions,
    region_by_code,
    region_path,
)
from marketplace.registry.reviews.models import ReviewKind, ReviewStep, StepKind
from marketplace.registry.rules import load_policies, load_regions
from tests.factories.registry import RegionFactory


def test_the_whole_tree_is_loaded_once_and_names_changed_by_hand_are_mended(session):
    RegionFactory(code="361025100200", name="错写的村")  # was there before, with another name
    assert load_regions(session) == 23_959 - 3  # province, city and township were right already
    assert load_regions(session) == 0
    counted = dict(session.execute(select(Region.level, func.count()).group_by(Region.level)).all())
    assert counted == {
        RegionLevel.PROVINCE: 1,
        RegionLevel.PREFECTURE: 11,
        RegionLevel.COUNTY: 100,
        RegionLevel.TOWNSHIP: 1_767,
        RegionLevel.VILLAGE: 22_080,
    }
    session.expire_all()
    village = region_by_code(session, "361025100200", level=RegionLevel.VILLAGE)
    assert village.full_name == "抚州市乐安县鳌溪镇鳌溪村委会"
    assert [place.name for place in region_path(session, village.code)] == [
        "江西省",
        "抚州市",
        "乐安县",
        "鳌溪镇",
        "鳌溪村委会",
    ]
    assert len(counties(session, only_key=True)) == 25
    assert {place.name for place in counties(session, only_pilot=True)} == {
        "乐安县",
        "莲花县",
        "上犹县",
        "遂川县",
    }
    assert region_by_code(session, "360703").name == "南康区"
    assert "公溪镇" in [place.name for place in children_of(session, "361025")]
    with pytest.raises(NotFound):
        region_by_code(session, "361025100", level=RegionLevel.VILLAGE)


@pytest.mark.parametrize(
    "typed", ["361025100200", "鳌溪村", "鳌溪村民委员会", "乐安县鳌溪镇鳌溪", "乐安 鳌溪", "鳌溪村委会"]
)
def test_a_village_is_found_however_its_name_is_typed(session, typed):
    for code in ("361025100200", "361025100201", "361025101200", "360827100001"):
        RegionFactory(code=code)
    found = found_regions(session, typed)
    assert found[0].code == "361025100200"
    assert found_regions(session, "公溪", within="360827") == []


@pytest.mark.parametrize("typed", ["", "   ", "%", "_", "没有这个村"])
def test_nonsense_finds_no_village(session, typed):
    RegionFactory()
    assert found_regions(session, typed) == []


def test_shipped_policies_are_added_only_where_a_jurisdiction_has_none(session):
    RegionFactory(code="36")
    session.add(
        ReviewStep(
            kind=ReviewKind.CERTIFICATE,
            region_code="36",
            position=1,
            step=StepKind.DECISION,
            name_zh="行业审核",
            name_en="Sector review",
            role="county_reviewer",
        )
    )
    load_policies(session)
    load_policies(session)
    names = dict.fromkeys(ReviewKind)
    for kind in ReviewKind:
        steps = select(ReviewStep.name_zh).where(ReviewStep.kind == kind).order_by(ReviewStep.position)
        names[kind] = session.scalars(steps).all()
    assert names[ReviewKind.CERTIFICATE] == ["行业审核"]
    assert len(names[ReviewKind.COOPERATIVE_ENTRY]) == 4
    assert session.scalar(select(func.count()).select_from(BeneficiaryPolicy)) == 8


def test_the_command_loads_everything_and_the_second_time_nothing(app, session):
    commands = app.test_cli_runner()
    assert commands.invoke(args=["registry", "load"]).output == "23959 places new or changed\n"
    assert commands.invoke(args=["registry", "load"]).output == "0 places new or changed\n"
