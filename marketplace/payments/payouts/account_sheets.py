"""Household accounts from a sheet: looked at first with findings by row and column, then the good rows taken at once.

A row is judged by the same checks as the form, so that the two never disagree.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Forbidden, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import keep_file
from marketplace.identity.trail import record_trail
from marketplace.payments.payouts.account_numbers import check_account_number
from marketplace.payments.payouts.account_queries import households_to_record, is_refused_by_bank
from marketplace.payments.payouts.account_rules import NUMBER_COLUMN, plain_words, record_account
from marketplace.payments.payouts.models import AccountSheet, HouseholdBankAccount, SheetState
from marketplace.payments.payouts.sheets import KEPT_FINDINGS, SheetFinding, SheetRow, read_sheet
from marketplace.registry.identifiers import check_household_no
from marketplace.registry.models import Household, HouseholdMember

T = TypeVar("T")
COLUMNS = {
    "registry_no": ("户编号", "户编码", "户号"),
    "head_name": ("户主姓名", "户主"),
    "holder_name": ("开户人", "户名", "账户名", "开户人姓名"),
    "bank_name": ("开户银行", "开户行", "银行"),
    "account_number": ("银行账号", "银行卡号", "账号", "卡号", "一卡通账号"),
}
LOOKUP_CHUNK = 2_000


@dataclass(frozen=True)
class AccountRow:
    """A row that can be taken."""

    row: int
    household: Household
    holder_name: str
    bank_name: str
    account_number: str


@dataclass
class ExaminedAccounts:
    """What a sheet says against what is recorded now."""

    rows_total: int
    news: list[AccountRow] = field(default_factory=list)
    unchanged: int = 0
    findings: list[SheetFinding] = field(default_factory=list)

    @property
    def rows_bad(self) -> int:
        """How many rows have findings."""
        return len({finding.row for finding in self.findings})


@dataclass(frozen=True)
class _Ground:
    """What the rows are checked against, looked up at once."""

    households: dict[str, Household]
    names: dict[int, set[str]]
    standing: dict[int, tuple[HouseholdBankAccount, bool]]
    owners: dict[bytes, int]
    data_key: DataKey
    seen: Counter[str]


def require_recorder(actor: Actor) -> None:
    """Raise Forbidden unless the actor records accounts of some place or cooperative."""
    permissions = (Permission.ENROL_HOUSEHOLDS, Permission.VOUCH_FOR_HOUSEHOLDS, Permission.RECORD_STATUS)
    if actor.organisation_id is None or not any(actor.can(one) for one in permissions):
        raise Forbidden


def upload_accounts(
    session: Session, actor: Actor, files: FileStore, *, content: bytes, file_name: str
) -> AccountSheet:
    """Keep a sheet of accounts to be looked at. The same file of the same organisation is the same sheet.

    Raises Forbidden, Refused when it cannot be read.
    """
    require_recorder(actor)
    digest = hashlib.sha256(content).hexdigest()
    first = session.scalar(
        select(AccountSheet).where(
            AccountSheet.organisation_id == actor.organisation_id, AccountSheet.content_hash == digest
        )
    )
    if first is not None:
        return first
    rows = read_sheet(content, COLUMNS)
    file = keep_file(
        session, actor, files, content=content, name=file_name, media_type="text/csv", sealed=True
    )
    sheet = AccountSheet(
        organisation_id=actor.organisation_id,
        content_hash=digest,
        file_id=file.id,
        file_name=file.name,
        rows_total=len(rows),
        imported_by=actor.user_id,
    )
    session.add(sheet)
    session.flush()
    return sheet


def examine_accounts(
    session: Session, actor: Actor, data_key: DataKey, files: FileStore, sheet: AccountSheet
) -> ExaminedAccounts:
    """Compare a sheet with what is recorded now. Changes nothing."""
    rows = read_sheet(files.read(sheet.file.address, sealed=True), COLUMNS)
    ground = _ground(session, actor, data_key, rows)
    found = ExaminedAccounts(len(rows))
    for row in rows:
        findings: list[SheetFinding] = []
        good = _account_row(row, ground, findings)
        if good is None:
            found.findings += findings
        elif _is_known(good, ground):
            found.unchanged += 1
        else:
            found.news.append(good)
    return found


def _ground(session: Session, actor: Actor, data_key: DataKey, rows: Sequence[SheetRow]) -> _Ground:
    numbers = [_quiet(row, _registry_no) for row in rows]
    accounts = [_quiet(row, _account_number) for row in rows]
    in_care = households_to_record(actor).order_by(None)
    households = {
        one.registry_no: one
        for one in _in_chunks(session, numbers, lambda part: in_care.where(Household.registry_no.in_(part)))
    }
    ids = [one.id for one in households.values()]
    names: dict[int, set[str]] = {one.id: {one.head_name} for one in households.values()}
    for member in _in_chunks(
        session,
        ids,
        lambda part: select(HouseholdMember).where(HouseholdMember.household_id.in_(part)),
    ):
        names[member.household_id].add(member.name)
    standing: dict[int, tuple[HouseholdBankAccount, bool]] = {}
    for start in range(0, len(ids), LOOKUP_CHUNK):
        query = select(HouseholdBankAccount, is_refused_by_bank()).where(
            HouseholdBankAccount.household_id.in_(ids[start : start + LOOKUP_CHUNK]),
            HouseholdBankAccount.replaced_at.is_(None),
        )
        standing |= {account.household_id: (account, refused) for account, refused in session.execute(query)}
    index = [data_key.blind_index(one, column=NUMBER_COLUMN) for one in accounts if one]
    owners = {
        one.number_index: one.household_id
        for one in _in_chunks(
            session,
            index,
            lambda part: select(HouseholdBankAccount).where(
                HouseholdBankAccount.number_index.in_(part), HouseholdBankAccount.replaced_at.is_(None)
            ),
        )
    }
    seen = Counter([f"h{one}" for one in numbers if one] + [f"a{one}" for one in accounts if one])
    return _Ground(households, names, standing, owners, data_key, seen)


def _registry_no(row: SheetRow) -> str:
    return check_household_no(row.text("registry_no"))


def _account_number(row: SheetRow) -> str:
    return check_account_number(row.digits("account_number"))


def _quiet(row: SheetRow, read: Callable[[SheetRow], str]) -> str:
    try:
        return read(row)
    except Refused:
        return ""


def _in_chunks(session: Session, values: Iterable[Any], query: Callable[[list[Any]], Select[T]]) -> list[T]:
    wanted = sorted({value for value in values if value})
    found: list[T] = []
    for start in range(0, len(wanted), LOOKUP_CHUNK):
        found += session.scalars(query(wanted[start : start + LOOKUP_CHUNK]))
    return found


def _account_row(row: SheetRow, ground: _Ground, findings: list[SheetFinding]) -> AccountRow | None:
    """The row as it can be taken; None with what is wrong added to `findings`."""

    def cell(name: str, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except Refused as refusal:
            findings.append(SheetFinding.from_refusal(row.row, COLUMNS[name][0], refusal))
            return None

    household = cell("registry_no", lambda: _household(row, ground))
    if household is not None:
        cell("head_name", lambda: _require_head(row, household))
    holder = cell("holder_name", lambda: _holder(row, household, ground))
    bank = cell("bank_name", lambda: plain_words(row.text("bank_name"), "bank_name"))
    number = cell("account_number", lambda: _number(row, household, ground))
    if findings or household is None or holder is None or bank is None or number is None:
        return None
    return AccountRow(row.row, household, holder, bank, number)


def _household(row: SheetRow, ground: _Ground) -> Household:
    registry_no = _registry_no(row)
    household = ground.households.get(registry_no)
    if household is None:
        raise Refused("household_not_in_care", N_("没有这一户，或不在您登记的范围内，请核对户编号"))
    if ground.seen[f"h{registry_no}"] > 1:
        raise Refused("household_repeated", N_("同一户在表里出现了几次，请只留一行"))
    return household


def _require_head(row: SheetRow, household: Household) -> bool:
    if row.text("head_name") != household.head_name:
        raise Refused("head_differs", N_("户主姓名与登记的不一致，请核对是不是填错了户"))
    return True


def _holder(row: SheetRow, household: Household | None, ground: _Ground) -> str:
    holder = plain_words(row.text("holder_name"), "holder_name")
    if household is not None and holder not in ground.names[household.id]:
        raise Refused("holder_elsewhere", N_("开户人不是本户的人，收款账号须是本户成员本人的，请核对姓名"))
    return holder


def _number(row: SheetRow, household: Household | None, ground: _Ground) -> str:
    number = _account_number(row)
    owner = ground.owners.get(ground.data_key.blind_index(number, column=NUMBER_COLUMN))
    if household is not None and owner not in (None, household.id):
        raise Refused("account_of_another", N_("这个账号已登记给另一户，一个账号只能收一户的钱，请核对"))
    if ground.seen[f"a{number}"] > 1:
        raise Refused("account_repeated", N_("同一个账号在表里出现了几次，一个账号只能收一户的钱，请核对"))
    return number


def _is_known(good: AccountRow, ground: _Ground) -> bool:
    account, is_refused = ground.standing.get(good.household.id, (None, False))
    if account is None or is_refused:
        return False
    index = ground.data_key.blind_index(good.account_number, column=NUMBER_COLUMN)
    said = (index, good.holder_name, good.bank_name)
    return (account.number_index, account.holder_name, account.bank_name) == said


def take_accounts(
    session: Session, actor: Actor, data_key: DataKey, files: FileStore, sheet: AccountSheet
) -> AccountSheet:
    """Record the accounts of the good rows, all in one; taken a second time it changes nothing.

    Raises Forbidden, Refused when no row can be taken.
    """
    require_recorder(actor)
    session.execute(select(AccountSheet.id).where(AccountSheet.id == sheet.id).with_for_update())
    session.refresh(sheet)
    if sheet.state is SheetState.TAKEN:
        return sheet
    found = examine_accounts(session, actor, data_key, files, sheet)
    if not found.news:
        raise Refused("nothing_to_take", N_("没有一行可以登记：或有要改的地方，或与已登记的相同"))
    for good in found.news:
        record_account(
            session,
            actor,
            data_key,
            good.household,
            account_number=good.account_number,
            holder_name=good.holder_name,
            bank_name=good.bank_name,
            valid_from=today(),
        )
    sheet.state, sheet.taken_by, sheet.taken_at = SheetState.TAKEN, actor.user_id, now()
    sheet.rows_new, sheet.rows_unchanged, sheet.rows_bad = len(found.news), found.unchanged, found.rows_bad
    sheet.findings = [finding.as_json() for finding in found.findings[:KEPT_FINDINGS]]
    session.flush()
    record_trail(
        session,
        actor,
        "payments.take_account_sheet",
        subject=("account_sheet", sheet.public_no),
        lines=sheet.rows_new,
    )
    return sheet
