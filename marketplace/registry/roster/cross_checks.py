"""What only several rows of a roster together, or the register, can show: one set-based statement a check.

Each check selects the rows that fail it, with what its message needs to say, and answers findings. They run in order:
later ones look at what is still good. Findings never hold a name or a number of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from marketplace.core.clock import today
from marketplace.core.labels import N_
from marketplace.registry.models import (
    Enrolment,
    EnrolmentState,
    Household,
    HouseholdMember,
    HouseholdStatus,
    RosterImport,
)
from marketplace.registry.queries import statuses_on
from marketplace.registry.roster.checks import Finding
from marketplace.registry.roster.columns import Column
from marketplace.registry.roster.models import RosterRow

R = RosterRow
Rows = Select[*tuple[Any, ...]]  # row number, then the params of the message
BATCH = 2_000


@dataclass(frozen=True)
class CrossCheck:
    """`failing(roster)` selects the row number, then the values of `params` in the message."""

    column: Column
    code: str
    message: str
    failing: Callable[[RosterImport], Rows]
    params: tuple[str, ...] = ()

    def findings(
        self, session: Session, roster: RosterImport, *, only_good: bool = False
    ) -> Iterator[Finding]:
        """The findings of this check, in the order of the sheet, read in batches.

        `only_good` leaves out rows with findings; not for checks within the file, which look at all of them.
        """
        query = self.failing(roster).where(R.is_good) if only_good else self.failing(roster)
        number = query.selected_columns[0]
        last = 0
        while batch := session.execute(query.where(number > last).order_by(number).limit(BATCH)).all():
            for row, *values in batch:
                params = dict(zip(self.params, values, strict=True))
                yield Finding(row, self.column, self.code, self.message, params)
            last = batch[-1][0]


# --- within the file ---


def _said_before(key: InstrumentedAttribute[Any]) -> Callable[[RosterImport], Rows]:
    """Rows whose `key` stands in an earlier row too."""

    def failing(roster: RosterImport) -> Rows:
        first = func.min(R.row).over(partition_by=key).label("first_row")
        ranked = select(R.row, first).where(R.import_id == roster.id, key.is_not(None)).subquery()
        return select(ranked.c.row, ranked.c.first_row).where(ranked.c.row > ranked.c.first_row)

    return failing


def _unlike_first(value: InstrumentedAttribute[Any]) -> Callable[[RosterImport], Rows]:
    """Rows whose `value` is not that of the household's first row that has one."""

    def failing(roster: RosterImport) -> Rows:
        window: dict[str, Any] = {"partition_by": R.registry_no, "order_by": R.row}
        ranked = (
            select(
                R.row,
                value.label("said"),
                func.first_value(value).over(**window).label("said_first"),
                func.first_value(R.row).over(**window).label("first_row"),
            )
            .where(R.import_id == roster.id, R.registry_no.is_not(None), value.is_not(None))
            .subquery()
        )
        return select(ranked.c.row, ranked.c.first_row).where(ranked.c.said != ranked.c.said_first)

    return failing


def _second_heads(roster: RosterImport) -> Rows:
    first = func.min(R.row).over(partition_by=R.registry_no).label("first_row")
    heads = (
        select(R.row, first).where(R.import_id == roster.id, R.registry_no.is_not(None), R.is_head).subquery()
    )
    return select(heads.c.row, heads.c.first_row).where(heads.c.row > heads.c.first_row)


def _other_head_names(roster: RosterImport) -> Rows:
    return select(R.row).where(R.import_id == roster.id, R.is_head, R.name != R.head_name)


# --- against the register ---


def _against_register(
    condition: Callable[[], ColumnElement[bool]],
) -> Callable[[RosterImport], Rows]:
    """Rows of registered households for which the condition holds."""

    def failing(roster: RosterImport) -> Rows:
        joined = select(R.row).join(Household, Household.registry_no == R.registry_no)
        return joined.where(R.import_id == roster.id, condition())

    return failing


def _against_person(*conditions: ColumnElement[bool]) -> Callable[[RosterImport], Rows]:
    """Rows of persons who are registered under the same ID number, for which the conditions hold."""

    def failing(roster: RosterImport) -> Rows:
        return (
            select(R.row)
            .join(HouseholdMember, HouseholdMember.id_number_index == R.id_number_index)
            .join(Household, Household.id == HouseholdMember.household_id)
            .where(R.import_id == roster.id, *conditions)
        )

    return failing


def _taken_numbers(roster: RosterImport) -> Rows:
    return (
        select(R.row)
        .join(HouseholdMember, HouseholdMember.person_no == R.person_no)
        .where(R.import_id == roster.id, HouseholdMember.id_number_index != R.id_number_index)
    )


def _other_heads(roster: RosterImport) -> Rows:
    return (
        select(R.row)
        .join(Household, Household.registry_no == R.registry_no)
        .join(HouseholdMember, and_(HouseholdMember.household_id == Household.id, HouseholdMember.is_head))
        .where(R.import_id == roster.id, R.is_head, HouseholdMember.id_number_index != R.id_number_index)
    )


def _other_statuses(roster: RosterImport) -> Rows:
    named = (
        select(Household.id).join(R, R.registry_no == Household.registry_no).where(R.import_id == roster.id)
    )
    present = statuses_on(valid_on=today(), among=named).subquery()
    has_any = exists().where(HouseholdStatus.household_id == Household.id)
    is_other = or_(present.c.status != R.status, and_(present.c.status.is_(None), has_any))
    return (
        select(R.row)
        .join(Household, Household.registry_no == R.registry_no)
        .outerjoin(present, present.c.household_id == Household.id)
        .where(R.import_id == roster.id, R.status.is_not(None), is_other)
    )


def _enrolments_in(state: EnrolmentState) -> Callable[[RosterImport], Rows]:
    def failing(roster: RosterImport) -> Rows:
        return (
            select(R.row)
            .join(Household, Household.registry_no == R.registry_no)
            .join(Enrolment, Enrolment.household_id == Household.id)
            .where(
                R.import_id == roster.id,
                Enrolment.cooperative_id == roster.cooperative_id,
                Enrolment.state == state,
            )
        )

    return failing


# --- the household as a whole ---


def _has_registered_head() -> ColumnElement[bool]:
    return exists().where(
        Household.registry_no == R.registry_no,
        HouseholdMember.household_id == Household.id,
        HouseholdMember.is_head,
    )


def _without_head(roster: RosterImport) -> Rows:
    head = aliased(R)
    has_head = exists().where(head.import_id == roster.id, head.registry_no == R.registry_no, head.is_head)
    return select(R.row).where(
        R.import_id == roster.id, R.registry_no.is_not(None), ~has_head, ~_has_registered_head()
    )


def _with_bad_head(roster: RosterImport) -> Rows:
    head = aliased(R)
    return (
        select(R.row, func.min(head.row))
        .join(head, and_(head.import_id == roster.id, head.registry_no == R.registry_no, head.is_head))
        .where(R.import_id == roster.id, R.is_good, ~_has_registered_head())
        .group_by(R.row)
        .having(func.max(_as_number(head.is_good)) == 0)
    )


def _as_number(flag: ColumnElement[bool] | InstrumentedAttribute[bool]) -> ColumnElement[int]:
    return case((flag, 1), else_=0)


SAME_AS_FIRST = N_("同一户的这一项和第 %(first_row)s 行不一致，请改成一致")
IN_FILE = (
    CrossCheck(
        Column.ID_NUMBER,
        "person_twice",
        N_("这个人和第 %(first_row)s 行重复了，请只留一行"),
        _said_before(R.id_number_index),
        ("first_row",),
    ),
    CrossCheck(
        Column.PERSON_NO,
        "person_no_twice",
        N_("人编号和第 %(first_row)s 行重复了，每个人的编号应不同，请核对"),
        _said_before(R.person_no),
        ("first_row",),
    ),
    CrossCheck(
        Column.VILLAGE, "household_differs", SAME_AS_FIRST, _unlike_first(R.village_code), ("first_row",)
    ),
    CrossCheck(
        Column.HEAD_NAME, "household_differs", SAME_AS_FIRST, _unlike_first(R.head_name), ("first_row",)
    ),
    CrossCheck(Column.STATUS, "household_differs", SAME_AS_FIRST, _unlike_first(R.status), ("first_row",)),
    CrossCheck(
        Column.VALID_FROM, "household_differs", SAME_AS_FIRST, _unlike_first(R.valid_from), ("first_row",)
    ),
    CrossCheck(
        Column.RELATION,
        "two_heads",
        N_("这一户有两个户主，第 %(first_row)s 行已是户主，请改正与户主关系"),
        _second_heads,
        ("first_row",),
    ),
    CrossCheck(
        Column.HEAD_NAME,
        "head_name_differs",
        N_("户主这一行的姓名和“户主姓名”不一致，请改成一致"),
        _other_head_names,
    ),
)
IN_REGISTER = (
    CrossCheck(
        Column.VILLAGE,
        "household_elsewhere",
        N_("这个户编号登记在另一个村，请核对户编号和村，确实搬迁的请联系县级审核员"),
        _against_register(lambda: Household.village_code != R.village_code),
    ),
    CrossCheck(
        Column.HEAD_NAME,
        "head_name_registered",
        N_("户主姓名和登记的不一致，请核对户编号和户主姓名"),
        _against_register(lambda: Household.head_name != R.head_name),
    ),
    CrossCheck(
        Column.ID_NUMBER,
        "person_elsewhere",
        N_("这个人已登记在另一户，一个人只能在一户，请核对或联系村级审核员"),
        _against_person(Household.registry_no != R.registry_no),
    ),
    CrossCheck(
        Column.PERSON_NO,
        "person_no_registered",
        N_("这个人登记的人编号不是这个，请核对"),
        _against_person(Household.registry_no == R.registry_no, HouseholdMember.person_no != R.person_no),
    ),
    CrossCheck(
        Column.NAME,
        "name_registered",
        N_("这个身份证号登记的是另一个姓名，请核对"),
        _against_person(Household.registry_no == R.registry_no, HouseholdMember.name != R.name),
    ),
    CrossCheck(Column.PERSON_NO, "person_no_taken", N_("这个人编号属于另一个人，请核对"), _taken_numbers),
    CrossCheck(
        Column.RELATION,
        "head_registered",
        N_("这一户登记的户主是另一个人，请核对，确有变更的请联系县级审核员"),
        _other_heads,
    ),
    CrossCheck(
        Column.STATUS,
        "status_registered",
        N_("这一户登记的状态与名册不同，以登记为准；登记有误的请联系县级审核员更正"),
        _other_statuses,
    ),
    CrossCheck(
        Column.REGISTRY_NO,
        "enrolment_declined",
        N_("这一户表示过不加入本社，请先和农户商量，再到“成员农户”里单独提出"),
        _enrolments_in(EnrolmentState.DECLINED),
    ),
    CrossCheck(
        Column.REGISTRY_NO,
        "enrolment_ended",
        N_("这一户已退出本社，要重新加入请到“成员农户”里单独提出"),
        _enrolments_in(EnrolmentState.ENDED),
    ),
)
OF_HOUSEHOLDS = (
    CrossCheck(
        Column.RELATION,
        "no_head",
        N_("这一户没有户主，请补上户主那一行，与户主关系填“户主”"),
        _without_head,
    ),
    CrossCheck(
        Column.RELATION,
        "head_row_bad",
        N_("户主在第 %(head_row)s 行，那一行有问题，改好后这一户才能入库"),
        _with_bad_head,
        ("head_row",),
    ),
)
CROSS_CHECKS = IN_FILE + IN_REGISTER + OF_HOUSEHOLDS
