"""The ledger's checks: small questions to the stored rows, each answered with a count and with findings by name.

They trust nothing but the rows: what a trigger or a rule should have prevented is looked for here, because whoever
owns the database can drop a trigger. Rooms above add checks of their own (every settled line's credits equal its
pools, ...) and pass them to the same runner, in checks.py.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, and_, func, or_, select, type_coerce
from sqlalchemy.orm import Session, aliased

from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.ledger.accounts import NEVER_NEGATIVE, OWNER_COLUMNS, AccountKey, AccountKind
from marketplace.ledger.checks import CHUNK, MAX_FINDINGS, Answer, Check, Finding, count_of, rows_found
from marketplace.ledger.models import Account, Entry, Transfer
from marketplace.ledger.queries import sides_of
from marketplace.ledger.verify_bodies import examine_bodies

# --- the shape of entries ---


def _transfer_amounts(session: Session) -> Answer:
    query = (
        select(func.coalesce(Entry.public_no, "?").label("entry"), Transfer.position, Transfer.amount_fen)
        .outerjoin(Entry, Entry.id == Transfer.entry_id)
        .where(or_(Transfer.amount_fen <= 0, Transfer.debit_account_id == Transfer.credit_account_id))
        .order_by(Transfer.id)
    )
    message = N_("分录 %(entry)s 第 %(position)s 行：金额 %(amount_fen)s 分不是正数，或借贷是同一账户")
    return count_of(session, Transfer), rows_found(session, "transfer_amounts", message, query)


def _entries_have_transfers(session: Session) -> Answer:
    has_transfer = select(Transfer.id).where(Transfer.entry_id == Entry.id).exists()
    query = select(Entry.public_no.label("entry"), Entry.id).where(~has_transfer).order_by(Entry.id)
    message = N_("分录 %(entry)s（序号 %(id)s）没有任何转账行")
    return count_of(session, Entry), rows_found(session, "entries_have_transfers", message, query)


def _no_orphans(session: Session) -> Answer:
    debit, credit, corrected = aliased(Account), aliased(Account), aliased(Entry)
    lost_transfers = (
        select(Transfer.id, Transfer.entry_id, Transfer.position)
        .outerjoin(Entry, Entry.id == Transfer.entry_id)
        .outerjoin(debit, debit.id == Transfer.debit_account_id)
        .outerjoin(credit, credit.id == Transfer.credit_account_id)
        .where(or_(Entry.id.is_(None), debit.id.is_(None), credit.id.is_(None)))
        .order_by(Transfer.id)
    )
    lost_reversals = (
        select(Entry.public_no.label("entry"), Entry.reverses_entry_id.label("reversed"))
        .outerjoin(corrected, corrected.id == Entry.reverses_entry_id)
        .where(
            Entry.reverses_entry_id.is_not(None),
            or_(corrected.id.is_(None), corrected.id >= Entry.id, func.trim(Entry.reason) == ""),
        )
        .order_by(Entry.id)
    )
    findings = rows_found(
        session,
        "no_orphans",
        N_("转账行 %(id)s（分录序号 %(entry_id)s 第 %(position)s 行）所属的分录或账户不存在"),
        lost_transfers,
    )
    findings += rows_found(
        session,
        "no_orphans",
        N_("分录 %(entry)s 所更正的分录（序号 %(reversed)s）不存在、晚于它，或没有写明原因"),
        lost_reversals,
    )
    return count_of(session, Transfer) + count_of(session, Entry), findings


def _positions(session: Session) -> Answer:
    counted = (
        select(
            Transfer.entry_id,
            func.min(Transfer.position).label("first"),
            func.max(Transfer.position).label("last"),
            func.count().label("rows"),
        )
        .group_by(Transfer.entry_id)
        .subquery()
    )
    query = (
        select(func.coalesce(Entry.public_no, "?").label("entry"), counted.c.rows, counted.c.last)
        .select_from(counted)
        .outerjoin(Entry, Entry.id == counted.c.entry_id)
        .where(or_(counted.c.first != 1, counted.c.last != counted.c.rows))
        .order_by(counted.c.entry_id)
    )
    message = N_("分录 %(entry)s 的 %(rows)s 个转账行编号不连续，最后一行是第 %(last)s 行")
    return count_of(session, Entry), rows_found(session, "positions", message, query)


def _idempotency_keys(session: Session) -> Answer:
    query = (
        select(Entry.idempotency_key.label("key"), func.count().label("times"))
        .group_by(Entry.idempotency_key)
        .having(func.count() > 1)
        .order_by(Entry.idempotency_key)
    )
    message = N_("记账编号 %(key)s 出现了 %(times)s 次")
    return count_of(session, Entry), rows_found(session, "idempotency_keys", message, query)


# --- balances and owners ---


def _zero_sum(session: Session) -> Answer:
    in_debit, in_credit = (
        select(func.coalesce(func.sum(Transfer.amount_fen), 0)).join(Account, Account.id == side)
        for side in (Transfer.debit_account_id, Transfer.credit_account_id)
    )
    off_fen = int((session.scalar(in_debit) or 0) - (session.scalar(in_credit) or 0))
    message = N_("全部账户的借方与贷方相差 %(yuan)s 元")
    findings = [Finding("zero_sum", message, {"yuan": format_yuan(off_fen)})] if off_fen else []
    return count_of(session, Account), findings


def _never_negative(session: Session) -> Answer:
    held = Account.kind.in_(NEVER_NEGATIVE)
    sides = sides_of(held)
    balance_fen = func.sum(sides.c.change_fen)
    query = (
        select(sides.c.key.label("account"), balance_fen.label("balance_fen"))
        .group_by(sides.c.key)
        .having(balance_fen < 0)
        .order_by(sides.c.key)
    )
    message = N_("账户 %(account)s 的余额为 %(balance_fen)s 分，不应为负")
    return count_of(session, Account, held), rows_found(session, "never_negative", message, query)


def _account_owners(session: Session) -> Answer:
    """Every account's key says what its kind and owner columns say."""
    examined, last = 0, 0
    findings: list[Finding] = []
    columns = [column for column in Account.__table__.columns if column.name != "kind"]
    query = (
        select(*columns, type_coerce(Account.kind, String).label("kind")).order_by(Account.id).limit(CHUNK)
    )
    while rows := session.execute(query.where(Account.id > last)).all():
        for row in rows:
            if not _owners_fit(row) and len(findings) < MAX_FINDINGS:
                message = N_("账户 %(account)s（序号 %(id)s）的编号与它的类别或所有者不符")
                findings.append(Finding("account_owners", message, {"account": row.key, "id": row.id}))
        examined, last = examined + len(rows), rows[-1].id
    return examined, findings


def _owners_fit(row: Any) -> bool:
    try:
        key = AccountKey(AccountKind(row.kind), **{name: getattr(row, name) for name in OWNER_COLUMNS})
    except ValueError:
        return False
    return bool(key.text == row.key)


def _one_cooperative(session: Session) -> Answer:
    debit, credit = aliased(Account), aliased(Account)
    owner = func.coalesce(debit.cooperative_id, credit.cooperative_id)
    query = (
        select(Entry.public_no.label("entry"), Transfer.position)
        .join(Entry, Entry.id == Transfer.entry_id)
        .join(debit, debit.id == Transfer.debit_account_id)
        .join(credit, credit.id == Transfer.credit_account_id)
        .where(
            or_(
                debit.cooperative_id != credit.cooperative_id,
                Transfer.cooperative_id.is_distinct_from(owner),
                and_(Entry.cooperative_id.is_not(None), Entry.cooperative_id != owner),
            )
        )
        .order_by(Transfer.id)
    )
    message = N_("分录 %(entry)s 第 %(position)s 行涉及的合作社前后不一致")
    return count_of(session, Transfer), rows_found(session, "one_cooperative", message, query)


CHECKS: tuple[Check, ...] = (
    Check("transfer_amounts", N_("每个转账行金额为正、借贷为两个账户"), _transfer_amounts),
    Check("entries_have_transfers", N_("每笔分录至少有一个转账行"), _entries_have_transfers),
    Check("no_orphans", N_("没有失去分录或账户的转账行，更正都指明原分录和原因"), _no_orphans),
    Check("positions", N_("每笔分录的转账行编号连续"), _positions),
    Check("idempotency_keys", N_("记账编号不重复"), _idempotency_keys),
    Check("bodies", N_("每笔分录与记账时的内容逐字节一致"), examine_bodies),
    Check("zero_sum", N_("全部账户借贷相等"), _zero_sum),
    Check("never_negative", N_("代管、待分配和应付农户的余额不为负"), _never_negative),
    Check("account_owners", N_("账户编号与类别、所有者一致"), _account_owners),
    Check("one_cooperative", N_("分录、转账行与账户属于同一合作社"), _one_cooperative),
)
