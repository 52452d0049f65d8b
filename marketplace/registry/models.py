"""Who exists: regions, households, cooperatives, buyer units, enrolments, and the roster imports that bring them.

Status is effective-dated twice: `valid_from`/`valid_to` say when it held, `known_at` when we learned of it; rows are
never edited, a later row overrides an earlier one for the days it covers.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum
from marketplace.identity.models import Organisation


class RegionLevel(LabelledEnum):
    """The five levels of the administrative tree."""

    PROVINCE = "province", N_("省")
    PREFECTURE = "prefecture", N_("设区市")
    COUNTY = "county", N_("县（市、区）")
    TOWNSHIP = "township", N_("乡镇（街道）")
    VILLAGE = "village", N_("村（社区）")


class Region(Base):
    """A place of Jiangxi under its GB/T 2260 code: 2, 4, 6, 9 or 12 digits, each level's code beginning with its
    parent's.
    """

    __tablename__ = "region"
    __table_args__ = (Index("ix_region_parent_code", "parent_code"),)

    code: Mapped[str] = mapped_column(String(12), primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    full_name: Mapped[str] = mapped_column(String(160))
    level: Mapped[RegionLevel] = mapped_column(code_of(RegionLevel, "level"))
    parent_code: Mapped[str | None] = mapped_column(ForeignKey("region.code"))
    is_key_county: Mapped[bool] = mapped_column(default=False)
    is_pilot: Mapped[bool] = mapped_column(default=False)


class HouseholdStatusKind(LabelledEnum):
    """What a household is to the aid system on a day."""

    REGISTERED = "registered", N_("建档立卡贫困户")
    EXITED = "exited", N_("脱贫户")
    AT_RISK = "at_risk", N_("边缘易致贫户")
    INELIGIBLE = "ineligible", N_("不符合条件")


class Household(Base):
    """A household on the poverty register. `registry_no` (10 digits) never leaves pages of those who may read it."""

    __tablename__ = "household"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("H"))
    registry_no: Mapped[str] = mapped_column(String(10), unique=True)
    head_name: Mapped[str] = mapped_column(String(60))
    village_code: Mapped[str] = mapped_column(ForeignKey("region.code"), index=True)
    county_code: Mapped[str] = mapped_column(ForeignKey("region.code"), index=True)
    phone: Mapped[str | None] = mapped_column(String(20))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    village: Mapped[Region] = relationship(foreign_keys=[village_code], lazy="joined")
    members: Mapped[list[HouseholdMember]] = relationship(order_by="HouseholdMember.id")


class HouseholdMember(Base):
    """A person of a household. The ID number is sealed (context "household_member.id_number:<public_no>")."""

    __tablename__ = "household_member"
    __table_args__ = (
        Index(
            "uq_household_member_head",
            "household_id",
            unique=True,
            sqlite_where=text("is_head"),
            postgresql_where=text("is_head"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("M"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    person_no: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    relation: Mapped[str] = mapped_column(String(20))
    is_head: Mapped[bool] = mapped_column(default=False)
    id_number_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    id_number_index: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class HouseholdStatus(Base):
    """One statement about a household's status. Append-only, valid time and known time."""

    __tablename__ = "household_status"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="valid_range"),
        Index("ix_household_status_lookup", "household_id", "valid_from", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"))
    status: Mapped[HouseholdStatusKind] = mapped_column(code_of(HouseholdStatusKind, "status"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    known_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    recorded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    reason: Mapped[str] = mapped_column(String(300))


class BeneficiaryPolicy(Base):
    """Which statuses count as beneficiaries: one row per jurisdiction and year. Data, never a constant."""

    __tablename__ = "beneficiary_policy"
    __table_args__ = (UniqueConstraint("region_code", "year", "status"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    region_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    year: Mapped[int]
    status: Mapped[HouseholdStatusKind] = mapped_column(code_of(HouseholdStatusKind, "status"))
    counts: Mapped[bool]


class CooperativeState(LabelledEnum):
    """From the application to the right to sell."""

    DRAFT = "draft", N_("填写中")
    UNDER_REVIEW = "under_review", N_("审核中")
    ADMITTED = "admitted", N_("已准入")
    REJECTED = "rejected", N_("未通过")
    SUSPENDED = "suspended", N_("已暂停")


class Cooperative(Base):
    """A cooperative; shares its id with its organisation."""

    __tablename__ = "cooperative"

    id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), primary_key=True, autoincrement=False)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("C"))
    name: Mapped[str] = mapped_column(String(120))
    uscc: Mapped[str] = mapped_column(String(18), unique=True)
    county_code: Mapped[str] = mapped_column(ForeignKey("region.code"), index=True)
    village_code: Mapped[str] = mapped_column(ForeignKey("region.code"))
    legal_person: Mapped[str] = mapped_column(String(60))
    phone: Mapped[str] = mapped_column(String(20))
    bank_account_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    bank_account_index: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    story: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[CooperativeState] = mapped_column(
        code_of(CooperativeState, "state"), default=CooperativeState.DRAFT
    )
    applied_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    admitted_at: Mapped[datetime | None] = mapped_column(UtcInstant)

    organisation: Mapped[Organisation] = relationship()
    county: Mapped[Region] = relationship(foreign_keys=[county_code], lazy="joined")
    village: Mapped[Region] = relationship(foreign_keys=[village_code], lazy="joined")


class MemberRole(LabelledEnum):
    """一领办三参与: who leads and who takes part."""

    LEADING_CADRE = "leading_cadre", N_("村干部领办")
    CAPABLE_LEADER = "capable_leader", N_("能人参与")
    PARTY_MEMBER = "party_member", N_("党员参与")
    VILLAGER = "villager", N_("村民参与")
    REGISTERED_HOUSEHOLD = "registered_household", N_("贫困户参与")


class CooperativeMember(Base):
    """A member by role; cadres lead by design, so a relation to an official must be disclosed."""

    __tablename__ = "cooperative_member"
    __table_args__ = (UniqueConstraint("cooperative_id", "name", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    role: Mapped[MemberRole] = mapped_column(code_of(MemberRole, "role"))
    name: Mapped[str] = mapped_column(String(60))
    position: Mapped[str] = mapped_column(String(60), default="")
    related_party: Mapped[str] = mapped_column(String(200), default="")


class FiveOnesItem(LabelledEnum):
    """五个一: what every poverty-aid cooperative shows before it may sell."""

    LEADING_ORGANISATION = "leading_organisation", N_("一个合作组织")
    LEADING_INDUSTRY = "leading_industry", N_("一项主导产业")
    LEADING_PERSON = "leading_person", N_("一名致富带头人")
    LINKAGE_MECHANISM = "linkage_mechanism", N_("一套利益联结机制")
    SUPPORT_TEAM = "support_team", N_("一支帮扶服务队伍")


class FiveOnesEvidence(Base):
    """The evidence for one item of the checklist."""

    __tablename__ = "five_ones_evidence"
    __table_args__ = (UniqueConstraint("cooperative_id", "item"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    item: Mapped[FiveOnesItem] = mapped_column(code_of(FiveOnesItem, "item"))
    note: Mapped[str] = mapped_column(String(300))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class EnrolmentState(LabelledEnum):
    """A household takes part only once it has said so."""

    PROPOSED = "proposed", N_("待农户确认")
    ACKNOWLEDGED = "acknowledged", N_("已确认")
    DECLINED = "declined", N_("农户不认可")
    ENDED = "ended", N_("已退出")


class Enrolment(Base):
    """A household taken in by a cooperative; acknowledged by itself or, with a reason, by its village clerk."""

    __tablename__ = "enrolment"
    __table_args__ = (
        UniqueConstraint("cooperative_id", "household_id"),
        CheckConstraint(
            "(state IN ('acknowledged', 'ended')) = (acknowledged_at IS NOT NULL)", name="acknowledged"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("E"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    state: Mapped[EnrolmentState] = mapped_column(
        code_of(EnrolmentState, "state"), default=EnrolmentState.PROPOSED
    )
    enrolled_on: Mapped[date]
    proposed_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    vouching_reason: Mapped[str] = mapped_column(String(300), default="")
    ended_on: Mapped[date | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    ending_reason: Mapped[str] = mapped_column(String(300), default="")

    household: Mapped[Household] = relationship(lazy="joined")
    cooperative: Mapped[Cooperative] = relationship(lazy="joined")


class UnitKind(LabelledEnum):
    """What a buyer unit is. Pages open to the public show this and the county, never the unit."""

    OFFICE = "office", N_("机关食堂")
    SCHOOL = "school", N_("学校食堂")
    HOSPITAL = "hospital", N_("医院食堂")
    ENTERPRISE = "enterprise", N_("企事业单位食堂")


class BuyerUnit(Base):
    """A unit whose canteen buys; shares its id with its organisation. Its four duties are roles of its users."""

    __tablename__ = "buyer_unit"

    id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), primary_key=True, autoincrement=False)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("B"))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[UnitKind] = mapped_column(code_of(UnitKind, "kind"))
    uscc: Mapped[str] = mapped_column(String(18), unique=True)
    county_code: Mapped[str] = mapped_column(ForeignKey("region.code"), index=True)
    address: Mapped[str] = mapped_column(String(200))
    contact_name: Mapped[str] = mapped_column(String(60))
    contact_phone: Mapped[str] = mapped_column(String(20))

    organisation: Mapped[Organisation] = relationship()
    county: Mapped[Region] = relationship(lazy="joined")


class ImportState(LabelledEnum):
    """The life of a roster import."""

    UPLOADED = "uploaded", N_("排队检查")
    CHECKING = "checking", N_("正在检查")
    CHECKED = "checked", N_("检查完毕，待确认")
    TAKING = "taking", N_("正在入库")
    TAKEN = "taken", N_("已入库")
    FAILED = "failed", N_("无法读取")
    STOPPED = "stopped", N_("已停下")


class RosterImport(Base):
    """One uploaded roster. The file is kept sealed; the same file for the same cooperative is the same import.

    `rows_read` of `rows_total` lines of the sheet are read first; that is the first of the `checks_done`. What is
    new is foreseen once it is checked, and counted when it is taken.
    """

    __tablename__ = "roster_import"
    __table_args__ = (UniqueConstraint("cooperative_id", "content_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("R"))
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("cooperative.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    content_hash: Mapped[str] = mapped_column(String(64))
    file_name: Mapped[str] = mapped_column(String(200))
    state: Mapped[ImportState] = mapped_column(code_of(ImportState, "state"), default=ImportState.UPLOADED)
    checks_done: Mapped[int] = mapped_column(default=0)
    rows_read: Mapped[int] = mapped_column(default=0)
    rows_total: Mapped[int] = mapped_column(default=0)
    rows_good: Mapped[int] = mapped_column(default=0)
    rows_bad: Mapped[int] = mapped_column(default=0)
    households_new: Mapped[int] = mapped_column(default=0)
    people_new: Mapped[int] = mapped_column(default=0)
    enrolments_new: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str] = mapped_column(String(300), default="")
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    checked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    taken_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class RosterFinding(Base):
    """What is wrong in one cell of a roster, and how to fix it. Holds no cell values: they may be personal data."""

    __tablename__ = "roster_finding"
    __table_args__ = (Index("ix_roster_finding_import", "import_id", "row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("roster_import.id"))
    row: Mapped[int]
    column: Mapped[str] = mapped_column(String(40))
    code: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(String(300))
    params: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
