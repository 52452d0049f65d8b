"""Who acts: organisations, users and their roles, API tokens, stored files, and the trail of who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_login import UserMixin
from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from marketplace.core.append_only import APPEND_ONLY
from marketplace.core.clock import now
from marketplace.core.db import Base, UtcInstant, code_of
from marketplace.core.ids import public_no
from marketplace.core.labels import N_, LabelledEnum


class OrganisationKind(LabelledEnum):
    """What an organisation is; cooperatives and buyer units have a row of their own in the registry."""

    COOPERATIVE = "cooperative", N_("合作社")
    BUYER_UNIT = "buyer_unit", N_("采购单位")
    GOVERNMENT = "government", N_("政府部门")
    PLATFORM = "platform", N_("平台")


class Role(LabelledEnum):
    """What a person does here. The four duties of a buyer unit are separate roles."""

    COOPERATIVE_MANAGER = "cooperative_manager", N_("合作社负责人")
    COOPERATIVE_CLERK = "cooperative_clerk", N_("合作社经办人")
    HOUSEHOLD = "household", N_("农户")
    VILLAGE_REVIEWER = "village_reviewer", N_("村级审核员")
    TOWNSHIP_REVIEWER = "township_reviewer", N_("乡镇审核员")
    COUNTY_REVIEWER = "county_reviewer", N_("县级审核员")
    UNIT_ORDERER = "unit_orderer", N_("采购下单人")
    UNIT_APPROVER = "unit_approver", N_("采购审批人")
    UNIT_RECEIVER = "unit_receiver", N_("收货验收人")
    UNIT_PAYER = "unit_payer", N_("付款人")
    STAFF_BUYER = "staff_buyer", N_("干部职工")
    AUDITOR = "auditor", N_("核查员")
    SUPERVISOR = "supervisor", N_("省级督导")
    OPERATOR = "operator", N_("平台运营")


class Organisation(Base):
    """A body that users belong to; `region_code` is its place (for a government body, its jurisdiction)."""

    __tablename__ = "organisation"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("G"))
    kind: Mapped[OrganisationKind] = mapped_column(code_of(OrganisationKind, "kind"))
    name: Mapped[str] = mapped_column(String(120))
    region_code: Mapped[str] = mapped_column(String(12), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class User(UserMixin, Base):
    """A person with an account. A person belongs to at most one organisation and may hold several roles in it."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("U"))
    login_name: Mapped[str] = mapped_column(String(40), unique=True)
    display_name: Mapped[str] = mapped_column(String(60))
    password_hash: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(8), default="zh_CN")
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    session_version: Mapped[int] = mapped_column(default=1)
    password_is_temporary: Mapped[bool] = mapped_column(default=False)
    tour_put_away_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)

    organisation: Mapped[Organisation | None] = relationship(lazy="joined")
    roles: Mapped[list[UserRole]] = relationship(
        lazy="selectin", back_populates="user", cascade="all, delete-orphan"
    )

    @property
    def role_codes(self) -> frozenset[Role]:
        """The roles as a set of codes."""
        return frozenset(row.role for row in self.roles)

    def get_id(self) -> str:
        """What the session cookie holds: the number and the version, so that a new password ends old sessions."""
        return f"{self.public_no}.{self.session_version}"


class UserRole(Base):
    """One role of one user."""

    __tablename__ = "user_role"
    __table_args__ = (UniqueConstraint("user_id", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    role: Mapped[Role] = mapped_column(code_of(Role, "role"))

    user: Mapped[User] = relationship(back_populates="roles")


class ApiToken(Base):
    """A bearer token; only the SHA-256 of its 256 random bits is kept."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("T"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class StoredFile(Base):
    """An uploaded file: its address in the file store, and who brought it. Sealed when it holds personal data."""

    __tablename__ = "stored_file"
    __table_args__ = ({"info": APPEND_ONLY},)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_no: Mapped[str] = mapped_column(String(16), unique=True, default=lambda: public_no("F"))
    address: Mapped[str] = mapped_column(String(64), index=True)
    sealed: Mapped[bool] = mapped_column(default=False)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int]
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    uploaded_at: Mapped[datetime] = mapped_column(UtcInstant, default=now)


class TrailEntry(Base):
    """Who did what to which thing, and when. Append-only; ids are kept without foreign keys, as history is."""

    __tablename__ = "trail_entry"
    __table_args__ = (
        Index("ix_trail_entry_subject", "subject_kind", "subject_no"),
        Index("ix_trail_entry_cooperative", "cooperative_id", "id"),
        Index("ix_trail_entry_buyer_unit", "buyer_unit_id", "id"),
        Index("ix_trail_entry_household", "household_id", "id"),
        Index("ix_trail_entry_county", "county_code", "id"),
        {"info": APPEND_ONLY},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcInstant, default=now)
    actor_user_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(60))
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_no: Mapped[str] = mapped_column(String(40))
    cooperative_id: Mapped[int | None]
    buyer_unit_id: Mapped[int | None]
    household_id: Mapped[int | None]
    county_code: Mapped[str | None] = mapped_column(String(6))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
