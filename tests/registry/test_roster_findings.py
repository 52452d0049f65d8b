"""What is wrong in a roster is told by row and column, with how to mend it, and nothing of the cell is kept."""

from datetime import date

import pytest
from sqlalchemy import func, select

from marketplace.core.errors import Refused
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdStatusKind,
    ImportState,
    RosterFinding,
)
from marketplace.registry.roster.checking import check_at_once
from marketplace.registry.roster.models import RosterRow
from marketplace.registry.roster.queries import findings_of
from marketplace.registry.roster.rules import upload_roster
from tests.factories.registry import (
    NEXT_VILLAGE,
    OTHER_COUNTY_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    HouseholdFactory,
    RegionFactory,
    actor_at,
    beneficiary_policy,
)
from tests.factories.rosters import HEADERS, csv_of, household, id_of, person, xlsx_of

ONE_DATABASE = pytest.mark.databases("sqlite")  # what a cell or a file says does not depend on the database
WRITERS = pytest.mark.parametrize("write", [csv_of, xlsx_of], ids=["csv", "xlsx"])


@pytest.fixture
def check(session, data_key, files, clock):
    """Upload a file for one cooperative of 乐安县 and check it: the import, and findings as (row, column, code)."""
    for code in (VILLAGE, NEXT_VILLAGE, OTHER_COUNTY_VILLAGE):
        RegionFactory(code=code)
    beneficiary_policy()
    cooperative = CooperativeFactory()
    actor = actor_at(cooperative)

    def check(content, name="名册.csv"):
        roster = upload_roster(session, actor, files, content=content, file_name=name)
        assert check_at_once(session, data_key, files, roster)
        return roster, [(f.row, f.column, f.code) for f in session.scalars(findings_of(roster))]

    check.cooperative = cooperative
    return check


# --- one cell ---


@ONE_DATABASE
@WRITERS
@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("身份证号", id_of(1)[:-1] + ("0" if id_of(1)[-1] != "0" else "1"), "resident_id_check"),
        ("身份证号", "12345", "resident_id_length"),
        ("身份证号", "", "empty_cell"),
        ("身份证号", "3.61025E+17", "digits_lost"),
        ("户编号", "37000", "household_no_form"),
        ("户编号", "37OOOOOOO1", "household_no_form"),
        ("人编号", "1", "person_no_form"),
        ("村", "361025100999", "unknown_village"),
        ("村", OTHER_COUNTY_VILLAGE, "village_elsewhere"),
        ("村", "没有这个村", "unknown_village"),
        ("户状态", "富裕户", "unknown_status"),
        ("户状态", "不符合条件", "not_beneficiary"),
        ("认定日期", "昨天", "bad_date"),
        ("认定日期", "2015-02-30", "bad_date"),
        ("认定日期", "2026-06-02", "date_in_future"),
        ("联系电话", "110", "mobile_form"),
        ("姓名", "长" * 61, "cell_too_long"),
        ("与户主关系", "", "empty_cell"),
        ("与户主关系", "=A2", "formula_cell"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(check, session, write, column, value, code):
    roster, found = check(write([person(1), person(2, **{column: value})]))
    assert (3, column, code) in found
    assert {row for row, _column, _code in found} == {3}
    assert (roster.state, roster.rows_good, roster.rows_bad) == (ImportState.CHECKED, 1, 1)
    assert (roster.households_new, roster.people_new, roster.enrolments_new) == (1, 1, 1)


@ONE_DATABASE
def test_control_characters_are_found(check):
    _roster, found = check(csv_of([person(1, 姓名="陈\x07一", 户主姓名="陈\x07一")]))
    assert {code for _row, column, code in found if column in ("姓名", "户主姓名")} == {"bad_characters"}


@ONE_DATABASE
def test_a_formula_in_a_spreadsheet_is_found_and_its_result_is_not_believed(check, session):
    _roster, found = check(xlsx_of([person(1), person(2, 身份证号="=B2&B3")]))
    assert found == [(3, "身份证号", "formula_cell")]


@ONE_DATABASE
def test_merged_cells_are_found_in_each_row_they_leave_empty(check):
    rows = household(1, 3)
    for row in rows[1:]:
        row["户编号"] = row["户主姓名"] = ""
    _roster, found = check(xlsx_of(rows, merges=["A2:A4", "B2:B4"]))
    assert {(row, column, code) for row, column, code in found if code == "merged_cell"} == {
        (3, "户编号", "merged_cell"),
        (3, "户主姓名", "merged_cell"),
        (4, "户编号", "merged_cell"),
        (4, "户主姓名", "merged_cell"),
    }


@ONE_DATABASE
def test_an_id_number_that_a_spreadsheet_made_a_number_is_found(check):
    _roster, found = check(xlsx_of([person(1, 身份证号=361025197001010000)]))
    assert found == [(2, "身份证号", "digits_lost")]


@ONE_DATABASE
def test_numbers_and_dates_as_spreadsheets_keep_them_are_read(check, session):
    row = person(1, 户编号=3700000001, 人编号=370000000011, 村=int(VILLAGE), 联系电话=13800000000)
    roster, found = check(xlsx_of([row]))
    assert found == []
    staged = session.scalars(select(RosterRow)).one()
    assert (staged.registry_no, staged.person_no, staged.village_code) == (
        "3700000001",
        "370000000011",
        VILLAGE,
    )
    assert staged.phone == "13800000000"
    assert roster.rows_good == 1


@ONE_DATABASE
@pytest.mark.parametrize(
    "written", ["2015-03-01", "2015/3/1", "2015.03.01", "2015年3月1日", "20150301", "２０１５-３-１"]
)
def test_a_day_may_be_written_as_people_do(check, session, written):
    _roster, found = check(csv_of([person(1, 认定日期=written)]))
    assert found == []
    assert session.scalars(select(RosterRow.valid_from)).one() == date(2015, 3, 1)


@ONE_DATABASE
@pytest.mark.parametrize(
    "written",
    [
        "鳌溪村委会",
        "鳌溪村",
        "鳌溪",
        "鳌溪村民委员会",
        "鳌溪镇鳌溪村",
        "乐安县鳌溪镇鳌溪村委会",
        "抚州市乐安县鳌溪镇鳌溪村",
        "江西省抚州市乐安县 鳌溪镇 鳌溪村",
        f" {VILLAGE} ",
    ],
)
def test_a_village_may_be_written_as_people_do(check, session, written):
    _roster, found = check(csv_of([person(1, 村=written)]))
    assert found == []
    assert session.scalars(select(RosterRow.village_code)).one() == VILLAGE


@ONE_DATABASE
def test_a_name_that_two_villages_have_needs_the_township(check, session):
    RegionFactory(code="361025101299", name="鳌溪村委会")
    _roster, found = check(csv_of([person(1, 村="鳌溪村"), person(2, 村="鳌溪镇鳌溪村")]))
    assert found == [(2, "村", "village_ambiguous")]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("已脱贫", HouseholdStatusKind.EXITED),
        ("脱贫户", HouseholdStatusKind.EXITED),
        ("贫困户", HouseholdStatusKind.REGISTERED),
        ("监测户", HouseholdStatusKind.AT_RISK),
    ],
)
def test_a_status_may_be_written_as_people_do(check, session, written, kind):
    _roster, found = check(csv_of([person(1, 户状态=written)]))
    assert found == []
    assert session.scalars(select(RosterRow.status)).one() is kind


@ONE_DATABASE
def test_spaces_that_align_names_do_not_matter(check, session):
    _roster, found = check(csv_of([person(1, 姓名=" 陈  山\u3000", 户主姓名="陈山")]))
    assert found == []
    assert session.scalars(select(RosterRow.name)).one() == "陈山"


# --- several rows ---


def test_a_person_twice_in_the_file_is_found(check):
    _roster, found = check(csv_of([person(1), person(2, 身份证号=id_of(1))]))
    assert found == [(3, "身份证号", "person_twice")]


def test_a_household_with_two_heads_or_none_is_found(check):
    two = [person(1), person(1, 2, 与户主关系="户主", 户主姓名="陈户主1", 姓名="陈户主1")]
    none = [person(2, 2), person(2, 3)]
    roster, found = check(csv_of([*two, *none, person(3)]))
    assert found == [
        (3, "与户主关系", "two_heads"),
        (4, "与户主关系", "no_head"),
        (5, "与户主关系", "no_head"),
    ]
    assert (roster.households_new, roster.people_new) == (
        2,
        2,
    )  # the first head stays, and the third household


def test_what_differs_within_a_household_is_found(check):
    rows = [
        person(1),
        person(1, 2, 村=NEXT_VILLAGE),
        person(1, 3, 户状态="脱贫户"),
        person(1, 4, 认定日期="2016-01-01"),
        person(1, 5, 户主姓名="别人"),
    ]
    _roster, found = check(csv_of(rows))
    assert found == [
        (3, "村", "household_differs"),
        (4, "户状态", "household_differs"),
        (5, "认定日期", "household_differs"),
        (6, "户主姓名", "household_differs"),
    ]


def test_the_head_is_called_what_the_household_is_called(check):
    _roster, found = check(csv_of([person(1, 姓名="别人"), person(1, 2)]))
    assert found == [(2, "户主姓名", "head_name_differs"), (3, "与户主关系", "head_row_bad")]


def test_with_a_bad_head_the_rest_of_the_household_waits_and_says_so(check, session):
    roster, found = check(csv_of([person(1, 身份证号="1"), person(1, 2), person(2)]))
    assert found == [(2, "身份证号", "resident_id_length"), (3, "与户主关系", "head_row_bad")]
    assert (roster.rows_good, roster.rows_bad, roster.households_new) == (1, 2, 1)
    waiting = session.scalars(findings_of(roster)).all()[1]
    assert waiting.params == {"head_row": 2}


# --- against the register ---


def test_a_household_registered_in_another_village_is_found(check):
    HouseholdFactory(registry_no="3700000001", head_name="陈户主1", place__code=NEXT_VILLAGE)
    _roster, found = check(csv_of([person(1, 2), person(2)]))
    assert found == [(2, "村", "household_elsewhere")]


def test_a_person_registered_in_another_household_is_found(check):
    HouseholdFactory(second__id_number=id_of(1))
    _roster, found = check(csv_of([person(1), person(2)]))
    assert found == [(2, "身份证号", "person_elsewhere")]


def test_what_contradicts_the_registered_household_is_found(check):
    kept = {"registry_no": "3700000001", "head_name": "陈户主1"}
    HouseholdFactory(
        **kept,
        head__id_number=id_of(1, 1),
        head__person_no="370000000011",
        second__id_number=id_of(1, 2),
        second__person_no="370000000012",
        second__name="陈家人12",
    )
    rows = [
        person(1, 1, 身份证号=id_of(1, 9), 人编号="370000000019"),  # another head
        person(1, 2, 姓名="别人"),
        person(1, 3, 人编号="370000000011"),  # the head's number
    ]
    _roster, found = check(csv_of(rows))
    assert found == [
        (2, "与户主关系", "head_registered"),
        (3, "姓名", "name_registered"),
        (4, "人编号", "person_no_taken"),
    ]
    _roster, found = check(csv_of(household(1, 2, 户主姓名="别人", 户状态="脱贫户")))
    assert (2, "户状态", "status_registered") in found
    assert (3, "户主姓名", "head_name_registered") in found


def test_a_household_that_declined_or_left_is_not_asked_again_by_a_roster(check, session):
    for number, state in ((1, EnrolmentState.DECLINED), (2, EnrolmentState.ENDED)):
        kept = HouseholdFactory(
            registry_no=f"370000000{number}",
            head_name=f"陈户主{number}",
            head__id_number=id_of(number),
            head__person_no=person(number)["人编号"],
        )
        EnrolmentFactory(household=kept, cooperative=check.cooperative, state=state)
    roster, found = check(csv_of([person(1), person(2)]))
    assert found == [(2, "户编号", "enrolment_declined"), (3, "户编号", "enrolment_ended")]
    assert roster.enrolments_new == 0


# --- the whole file ---


@ONE_DATABASE
def test_findings_keep_nothing_of_the_cells(check, session):
    secret = id_of(1)
    roster, _found = check(
        csv_of([person(1, 身份证号=secret[:-1] + "?", 姓名="秘密名字"), person(2, 村="秘密村")])
    )
    kept = session.execute(select(RosterFinding.message, RosterFinding.params, RosterFinding.column)).all()
    assert len(kept) >= 2
    assert "秘密" not in str(kept)
    assert secret[:10] not in str(kept)
    assert roster.failure == ""


@ONE_DATABASE
@WRITERS
def test_a_roster_without_rows_fails_with_a_reason(check, session, write):
    roster, found = check(write([]))
    assert (roster.state, found) == (ImportState.FAILED, [(0, "", "no_rows")])


@ONE_DATABASE
def test_missing_and_doubled_columns_are_named(check, session):
    headers = [header for header in HEADERS if header not in ("身份证号", "村")]
    roster, found = check(csv_of([person(1)], headers=[*headers, "姓名"]))
    assert roster.state is ImportState.FAILED
    assert found == [
        (1, "村", "missing_column"),
        (1, "身份证号", "missing_column"),
        (1, "姓名", "duplicate_column"),
    ]
    assert session.scalar(select(func.count()).select_from(RosterRow)) == 0


@ONE_DATABASE
def test_a_sheet_without_header_fails_with_a_reason(check):
    roster, found = check(csv_of([], headers=["甲", "乙", "丙"]))
    assert (roster.state, found) == (ImportState.FAILED, [(0, "", "no_header")])


@ONE_DATABASE
def test_the_header_may_stand_below_a_title_in_any_order_under_other_names(check, session):
    renamed = {"身份证号": "身份证号码（18位）*", "村": "所在村", "户状态": "户属性"}
    rows = [{renamed.get(key, key): value for key, value in person(1).items()}]
    headers = [renamed.get(header, header) for header in reversed(HEADERS)] + ["备注"]
    roster, found = check(xlsx_of(rows, headers=headers, titles=["乐安县名册", ""], merges=[]))
    assert (roster.rows_good, found) == (1, [])
    assert session.scalars(select(RosterRow.row)).one() == 4


@ONE_DATABASE
def test_empty_rows_and_the_example_are_passed_over_and_a_footer_is_named(check):
    example = person(1, 户编号="0000000000", 身份证号="")
    roster, found = check(
        csv_of([example, person(1), {}, {"户编号": "  "}, {"户编号": "合计", "户主姓名": "1 户"}])
    )
    assert found == [(6, "", "not_a_person")]
    assert (roster.rows_good, roster.rows_bad) == (1, 1)


@ONE_DATABASE
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_the_encoding_of_a_csv_is_recognised(check, session, encoding):
    _roster, found = check(csv_of([person(1, 姓名="陈镕基", 户主姓名="陈镕基")], encoding=encoding))
    assert found == []
    assert session.scalars(select(RosterRow.name)).one() == "陈镕基"


@ONE_DATABASE
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_the_delimiter_of_a_csv_is_recognised(check, delimiter):
    _roster, found = check(csv_of([person(1)], delimiter=delimiter))
    assert found == []


@ONE_DATABASE
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"  \r\n ", "empty_file"),
        (b"\xd0\xcf\x11\xe0" + b"\x00" * 100, "old_excel"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not_a_sheet"),
        (b"\xff\xff\xfe" * 20, "unknown_encoding"),
    ],
)
def test_what_is_no_sheet_is_refused_before_anything_is_kept(check, session, content, code):
    with pytest.raises(Refused) as refused:
        check(content)
    assert (refused.value.code, refused.value.field) == (code, "file")
    assert session.scalar(select(func.count()).select_from(RosterFinding)) == 0


@ONE_DATABASE
@pytest.mark.parametrize("content", [b"PK\x03\x04" + b"broken" * 30, xlsx_of([person(1)])[:2500]])
def test_a_broken_spreadsheet_fails_with_a_reason(check, content):
    roster, found = check(content)
    assert (roster.state, found) == (ImportState.FAILED, [(0, "", "sheet_unreadable")])


@ONE_DATABASE
def test_checking_adds_nothing_to_the_register(check, session):
    check(csv_of(household(1)))
    assert session.scalar(select(func.count()).select_from(Household)) == 0
    assert session.scalar(select(func.count()).select_from(Enrolment)) == 0
