"""Attendance by the sheet: the columns, and recording a row by the rule that records any attendance."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.linkage.mechanisms.employment.days import Work
from marketplace.linkage.mechanisms.employment.reading import parse_clock, parse_hours
from marketplace.linkage.mechanisms.employment.rules import record_attendance
from marketplace.linkage.models import Agreement, Evidence, Lot, Mechanism
from marketplace.linkage.queries import version_on
from marketplace.linkage.sheet_format import (
    Ground,
    Record,
    SheetColumn,
    SheetFormat,
    SheetRow,
    as_typed,
    read_day,
    read_whole,
)
from marketplace.registry.models import HouseholdMember

MOST_AGREEMENTS = 20_000
MOST_LOTS = 20_000
CLOCK_HINT = N_("请填写时间，例如 7:30")


def read_hours(text: str) -> int:
    """Minutes of hours written as 8, 7.5 or 7:30. Raises ValueError."""
    return parse_hours(as_typed(text))


COLUMNS = (
    SheetColumn(
        "person_name",
        N_("出工人姓名"),
        aliases=("姓名", "出工人", "出工的人", "务工人员", "工人"),
        help=N_("务工协议里的家庭成员"),
    ),
    SheetColumn(
        "person_no",
        N_("人员编号"),
        aliases=("人编号", "人员编码"),
        required=False,
        help=N_("12 位人员编号，有同名的人时要填"),
    ),
    SheetColumn(
        "worked_on",
        N_("日期"),
        read_day,
        N_("看不懂这个日期，请填成 2015-03-01 这样的格式"),
        aliases=("出工日期", "考勤日期"),
        help=N_("出工的那一天，例如 2026-05-20"),
    ),
    SheetColumn(
        "minutes",
        N_("工时（小时）"),
        read_hours,
        N_("请填写小时数，例如 8、7.5 或 7:30"),
        aliases=("工时", "小时", "小时数"),
        required=False,
        help=N_("按小时算的填这一列"),
    ),
    SheetColumn(
        "piece_kind", N_("活计"), aliases=("活计名称",), required=False, help=N_("按件算的，和协议里写得一样")
    ),
    SheetColumn(
        "pieces",
        N_("件数"),
        read_whole,
        N_("请填写件数，例如 120"),
        aliases=("数量",),
        required=False,
        help=N_("按件算的填这一列"),
    ),
    SheetColumn(
        "lot_no", N_("批次号"), aliases=("批次",), required=False, help=N_("为哪批货干的活；日常用工不填")
    ),
    SheetColumn(
        "starts_minute",
        N_("上工"),
        parse_clock,
        CLOCK_HINT,
        aliases=("上工时间",),
        required=False,
        help=N_("几点上工，不记就不填"),
    ),
    SheetColumn(
        "ends_minute",
        N_("收工"),
        parse_clock,
        CLOCK_HINT,
        aliases=("收工时间",),
        required=False,
        help=N_("几点收工，不记就不填"),
    ),
)


class WorkerFinder:
    """The people of a cooperative's employment agreements, found by what a row says of them."""

    def __init__(self, session: Session, cooperative_id: int) -> None:
        query = (
            select(Agreement)
            .where(Agreement.cooperative_id == cooperative_id, Agreement.mechanism == Mechanism.EMPLOYMENT)
            .options(selectinload(Agreement.versions))
            .order_by(Agreement.id)
            .limit(MOST_AGREEMENTS)
        )
        self._agreements: dict[int, list[Agreement]] = defaultdict(list)
        for agreement in session.scalars(query).unique():
            self._agreements[agreement.household_id].append(agreement)
        people = select(HouseholdMember).where(HouseholdMember.household_id.in_(self._agreements))
        self._people: dict[str, list[HouseholdMember]] = defaultdict(list)
        for person in session.scalars(people.order_by(HouseholdMember.id)):
            self._people[person.name].append(person)

    def person_of(self, row: SheetRow) -> HouseholdMember:
        """The one person the row means. Raises Refused, naming the column."""
        named = self._people.get(row["person_name"], [])
        meant = [one for one in named if row["person_no"] in (None, one.person_no)]
        if named and not meant:
            raise Refused("other_name", N_("编号和姓名不是同一个人，请核对"), field="person_no")
        if not meant:
            message = N_("没有找到这个人：须是务工协议里那一户的家庭成员，请核对姓名")
            raise Refused("unknown_person", message, field="person_name")
        if len(meant) == 1:
            return meant[0]
        agreed = [one for one in meant if self._agreements_of(one, row)]
        if len(agreed) != 1:
            raise Refused("same_name", N_("有几个人同名，请填人员编号"), field="person_no")
        return agreed[0]

    def agreement_of(self, person: HouseholdMember, row: SheetRow) -> Agreement:
        """The agreement under which the person works that day, else one whose refusal says what is wrong."""
        fitting = self._agreements_of(person, row)
        return (fitting or self._agreements[person.household_id])[0]

    def _agreements_of(self, person: HouseholdMember, row: SheetRow) -> list[Agreement]:
        versions = [(one, version_on(one, row["worked_on"])) for one in self._agreements[person.household_id]]
        return [one for one, version in versions if version and person.public_no in version.terms["persons"]]


def _plain(text: str | None) -> str:
    """A text as cells are read: brackets, digits and letters of one width."""
    return unicodedata.normalize("NFKC", text or "").strip()


def _kind_meant(agreement: Agreement, row: SheetRow) -> str | None:
    """The kind of work as the agreement writes it, else as the cell does."""
    version = version_on(agreement, row["worked_on"]) or agreement.versions[-1]
    kinds = [one["kind"] for one in version.terms["piece_rates"]]
    typed: str | None = row["piece_kind"]
    return next((kind for kind in kinds if _plain(kind) == _plain(typed)), typed)


def _lots(session: Session, cooperative_id: int) -> dict[str, Lot]:
    query = select(Lot).where(Lot.cooperative_id == cooperative_id).order_by(Lot.id.desc()).limit(MOST_LOTS)
    return {_plain(lot.lot_no): lot for lot in session.scalars(query)}


def open_attendance(session: Session, actor: Actor, ground: Ground, rows: Sequence[SheetRow]) -> Record:
    """What records a row as one person's day."""
    finder = WorkerFinder(session, ground.cooperative_id)
    lots = _lots(session, ground.cooperative_id) if any(row["lot_no"] for row in rows) else {}

    def record(row: SheetRow) -> Evidence:
        if row["lot_no"] and _plain(row["lot_no"]) not in lots:
            raise Refused("unknown_lot", N_("没有这个批次号的批次，请核对"), field="lot_no")
        if row["minutes"] is not None and row["pieces"] is not None:
            raise Refused("hours_and_pieces", N_("工时和件数只能填一样，两样都有请分成两行"), field="pieces")
        person = finder.person_of(row)
        agreement = finder.agreement_of(person, row)
        work = Work(
            minutes=row["minutes"],
            piece_kind=_kind_meant(agreement, row) if row["minutes"] is None else None,
            pieces=row["pieces"],
            starts_minute=row["starts_minute"],
            ends_minute=row["ends_minute"],
        )
        return record_attendance(
            session,
            actor,
            agreement=agreement,
            person=person,
            worked_on=row["worked_on"],
            work=work,
            lot=lots.get(_plain(row["lot_no"])),
        )

    return record


ATTENDANCE = SheetFormat(
    name="attendance",
    title=N_("考勤登记表"),
    lead=N_("一行一个人一天，可以一次记一个月。"),
    columns=COLUMNS,
    unique=("person_name", "person_no", "worked_on", "lot_no", "piece_kind"),
    open=open_attendance,
)
