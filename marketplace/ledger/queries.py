"""Reading the ledger: balances, statements, what a household has, entries. Set-based; no balance is cached.

A balance is the sum of an account's transfers in the account's own direction: what is held or owed counts up. Who may
read which entries is decided by `visible_entries`; the other queries are for callers that have decided already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, false, func, or_, select, union_all
from sqlalchemy.orm import Session, aliased, selectinload

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.models import OrganisationKind
from marketplace.identity.permissions import Permission
from marketplace.ledger.accounts import DEBIT_NORMAL, AccountKey
from marketplace.ledger.models import Account, Entry, EntryKind, Transfer
from marketplace.registry.cooperatives.queries import cooperatives_within
from marketplace.registry.models import BuyerUnit, Cooperative, Household

LOOKUP_CHUNK = 5_000
MAX_ENTRIES = 1_000
WITH_TRANSFERS = (
    selectinload(Entry.transfers).selectinload(Transfer.debit_account),
    selectinload(Entry.transfers).selectinload(Transfer.credit_account),
)


# --- balances ---


def balance(session: Session, key: AccountKey) -> int:
    """The balance of one account in fen; zero for an account that nothing was posted to."""
    return balances(session, [key])[key]


def balances(session: Session, keys: Collection[AccountKey]) -> dict[AccountKey, int]:
    """The balances of `keys` in fen, each in its own direction; zero where nothing was posted."""
    by_text = {key.text: key for key in keys}
    found = dict.fromkeys(keys, 0)
    texts = list(by_text)
    for start in range(0, len(texts), LOOKUP_CHUNK):
        sides = sides_of(Account.key.in_(texts[start : start + LOOKUP_CHUNK]))
        query = select(sides.c.key, func.sum(sides.c.change_fen)).group_by(sides.c.key)
        found |= {by_text[text]: int(fen) for text, fen in session.execute(query)}
    return found


def held_balances(session: Session, keys: Collection[AccountKey]) -> dict[AccountKey, int]:
    """The same, with the accounts held until the end of the transaction: for whoever decides by what is left.

    Only those who hold the accounts too (payouts, reversals) wait for one another; accounts are held in the order of
    their ids. On SQLite writers queue anyway.
    """
    texts = sorted({key.text for key in keys})
    for start in range(0, len(texts), LOOKUP_CHUNK):
        chunk = select(Account.id).where(Account.key.in_(texts[start : start + LOOKUP_CHUNK]))
        session.execute(chunk.order_by(Account.id).with_for_update(key_share=True)).all()
    return balances(session, keys)


def sides_of(condition: ColumnElement[bool]) -> Subquery:
    """Both sides of every transfer, as rows of the accounts that meet `condition`.

    Columns: key and household_id of the account, transfer_id, entry_id, counter_id (the account on the other side) and
    change_fen, which is positive when the account's balance grows.
    """
    in_debit = Account.kind.in_(DEBIT_NORMAL)
    arms = [
        select(
            Account.key,
            Account.household_id,
            Transfer.id.label("transfer_id"),
            Transfer.entry_id,
            other.label("counter_id"),
            case((grows, Transfer.amount_fen), else_=-Transfer.amount_fen).label("change_fen"),
        )
        .join(Transfer, own == Account.id)
        .where(condition)
        for own, other, grows in (
            (Transfer.debit_account_id, Transfer.credit_account_id, in_debit),
            (Transfer.credit_account_id, Transfer.debit_account_id, ~in_debit),
        )
    ]
    return union_all(*arms).subquery()


# --- statements ---


def account_statement(key: AccountKey) -> Select[Any]:
    """The statement of one account, newest first, to be paged.

    Rows: entry (an Entry), counter (the Account on the other side), change_fen and balance_fen after it.
    """
    return _statement(Account.key == key.text)


def household_statement(household_id: int) -> Select[Any]:
    """The statement of a household over all its cooperatives, newest first; rows as in `account_statement`."""
    return _statement(Account.household_id == household_id)


def _statement(condition: ColumnElement[bool]) -> Select[Any]:
    sides = sides_of(condition)
    running = func.sum(sides.c.change_fen).over(order_by=sides.c.transfer_id).label("balance_fen")
    return (
        select(Entry, Account, sides.c.change_fen, running)
        .join(Entry, Entry.id == sides.c.entry_id)
        .join(Account, Account.id == sides.c.counter_id)
        .order_by(sides.c.transfer_id.desc())
    )


# --- households ---


@dataclass(frozen=True)
class HouseholdTotals:
    """What a household was given and has, in fen. `balance_fen` is the sum of the others less `paid_out_fen`."""

    credited_fen: int = 0  # shares of settled lines, less what refunds took back
    guaranteed_fen: int = 0  # guarantees, less what later credits replaced
    relief_fen: int = 0  # borne by the cooperative, because paid-out money is never taken back
    other_fen: int = 0  # charges of the household's own agreements (negative), adjustments
    paid_out_fen: int = 0  # sent to its bank account and not returned

    @property
    def balance_fen(self) -> int:
        """What is still owed to it."""
        return self.credited_fen + self.guaranteed_fen + self.relief_fen + self.other_fen - self.paid_out_fen


PARTS = tuple(part.name for part in fields(HouseholdTotals))
# The total in which an entry's change to a household's account counts; a reversal counts where the reversed entry did.
TOTALS = {
    EntryKind.LINE_SETTLED: "credited_fen",
    EntryKind.POOL_DISTRIBUTED: "credited_fen",
    EntryKind.POOL_REDISTRIBUTED: "credited_fen",
    EntryKind.REFUND: "credited_fen",
    EntryKind.GUARANTEE: "guaranteed_fen",
    EntryKind.GUARANTEE_REDUCED: "guaranteed_fen",
    EntryKind.RELIEF: "relief_fen",
    EntryKind.PAYOUT_SENT: "paid_out_fen",
    EntryKind.PAYOUT_FAILED: "paid_out_fen",
}


def household_totals(session: Session, household_ids: Collection[int]) -> dict[int, HouseholdTotals]:
    """What each of `household_ids` was given and has, over all its cooperatives, in one statement."""
    sides = sides_of(Account.household_id.in_(household_ids))
    reversed_entry = aliased(Entry)
    kind = func.coalesce(reversed_entry.kind, Entry.kind).label("kind")
    query = (
        select(sides.c.household_id, kind, func.sum(sides.c.change_fen))
        .join(Entry, Entry.id == sides.c.entry_id)
        .outerjoin(reversed_entry, reversed_entry.id == Entry.reverses_entry_id)
        .group_by(sides.c.household_id, kind)
    )
    sums = {household_id: dict.fromkeys(PARTS, 0) for household_id in household_ids}
    for household_id, code, fen in session.execute(query):
        part = TOTALS.get(EntryKind(code), "other_fen")
        sums[household_id][part] += -int(fen) if part == "paid_out_fen" else int(fen)
    return {household_id: HouseholdTotals(**parts) for household_id, parts in sums.items()}


# --- entries ---


def entries_of(session: Session, subject_kind: str, subject_id: int) -> list[Entry]:
    """The entries about one row, e.g. ("order_line", 17), in order, with transfers and accounts; at most 1000."""
    query = (
        select(Entry)
        .options(*WITH_TRANSFERS)
        .where(Entry.subject_kind == subject_kind, Entry.subject_id == subject_id)
        .order_by(Entry.id)
        .limit(MAX_ENTRIES)
    )
    return list(session.scalars(query))


def visible_entries(actor: Actor) -> Select[Entry]:
    """The entries `actor` may read: a cooperative its own, an office those of its jurisdiction, anybody else none.

    An entry of no single cooperative (a card payment shared by several) is read by an office whose jurisdiction holds
    all of them.
    """
    query = select(Entry)
    if not actor.can(Permission.READ_LEDGER):
        return query.where(false())
    if actor.organisation_kind is OrganisationKind.COOPERATIVE:
        return query.where(Entry.cooperative_id == actor.cooperative_id)
    within = cooperatives_within(actor)
    elsewhere = select(Transfer.id).where(
        Transfer.entry_id == Entry.id,
        Transfer.cooperative_id.is_not(None),
        Transfer.cooperative_id.not_in(within),
    )
    shared = and_(Entry.cooperative_id.is_(None), ~elsewhere.exists())
    return query.where(or_(Entry.cooperative_id.in_(within), shared))


def entry_by_no(session: Session, actor: Actor, number: str) -> Entry:
    """The entry with that public number, with transfers and accounts. Raises NotFound, also for another's entry."""
    query = visible_entries(actor).options(*WITH_TRANSFERS).where(Entry.public_no == number)
    entry = session.scalar(query)
    if entry is None:
        raise NotFound
    return entry


def entries_after(
    session: Session, actor: Actor, *, after: str | None, limit: int, kind: EntryKind | None = None
) -> list[Entry]:
    """Up to `limit` entries visible to `actor`, oldest first, from the one after the public number `after`.

    Raises NotFound when `after` is no entry the actor may read.
    """
    query = visible_entries(actor).options(*WITH_TRANSFERS).order_by(Entry.id).limit(limit)
    if after is not None:
        query = query.where(Entry.id > entry_by_no(session, actor, after).id)
    if kind is not None:
        query = query.where(Entry.kind == kind)
    return list(session.scalars(query))


@dataclass(frozen=True)
class PublicNumbers:
    """The public numbers of what some entries name, by internal id."""

    cooperatives: dict[int, str]
    buyer_units: dict[int, str]
    households: dict[int, str]
    entries: dict[int, str]


def public_numbers(session: Session, entries: Iterable[Entry]) -> PublicNumbers:
    """The numbers of everybody whose accounts `entries` move, and of what they reverse, in four statements."""
    entries = list(entries)
    accounts = [
        account
        for entry in entries
        for transfer in entry.transfers
        for account in (transfer.debit_account, transfer.credit_account)
    ]
    cooperatives = {account.cooperative_id for account in accounts} | {
        entry.cooperative_id for entry in entries
    }
    return PublicNumbers(
        cooperatives=_numbers(session, Cooperative, cooperatives),
        buyer_units=_numbers(session, BuyerUnit, {account.buyer_unit_id for account in accounts}),
        households=_numbers(session, Household, {account.household_id for account in accounts}),
        entries=_numbers(session, Entry, {entry.reverses_entry_id for entry in entries}),
    )


def _numbers(
    session: Session, model: type[Cooperative | BuyerUnit | Household | Entry], ids: set[int | None]
) -> dict[int, str]:
    wanted = [number for number in ids if number is not None]
    if not wanted:
        return {}
    query = select(model.id, model.public_no).where(model.id.in_(wanted))
    return {row.id: row.public_no for row in session.execute(query)}
