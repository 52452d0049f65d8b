"""What is held for units, deposits and the money of vouchers alike: the check of the accounts it is held in."""

from __future__ import annotations

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKind
from marketplace.ledger.checks import Answer, count_of, rows_found
from marketplace.ledger.models import Account, Transfer


def accounts_hold(
    session: Session, kind: AccountKind, left: Select[tuple[int, int, int]], *, code: str, message: str
) -> Answer:
    """Whether each account of a kind holds exactly what the rows say is left.

    `left` selects cooperative_id, buyer_unit_id and fen, one row a pair; `message` names %(account)s, %(balance_fen)s
    and %(held_fen)s. They read the rows alone (see ledger/checks.py).
    """
    held = left.subquery()
    change = case((Transfer.credit_account_id == Account.id, Transfer.amount_fen), else_=-Transfer.amount_fen)
    balance = func.coalesce(func.sum(change), 0)
    expected = func.coalesce(func.max(held.c.fen), 0)
    query = (
        select(Account.key.label("account"), balance.label("balance_fen"), expected.label("held_fen"))
        .outerjoin(
            Transfer,
            or_(Transfer.credit_account_id == Account.id, Transfer.debit_account_id == Account.id),
        )
        .outerjoin(
            held,
            and_(
                held.c.cooperative_id == Account.cooperative_id,
                held.c.buyer_unit_id == Account.buyer_unit_id,
            ),
        )
        .where(Account.kind == kind)
        .group_by(Account.id, Account.key)
        .having(balance != expected)
        .order_by(Account.key)
    )
    return count_of(session, Account, Account.kind == kind), rows_found(session, code, message, query)
