"""Stripe's balance transactions, read into ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import stripe

from marketplace.payments.gateways.balance import BalanceMove, MoveKind
from marketplace.payments.gateways.protocol import GatewayRefused
from marketplace.payments.gateways.stripe_errors import instant_of, provider_errors
from marketplace.payments.gateways.stripe_events import CURRENCY, id_of

PAGE = 100
MOST = 100_000
KINDS = {
    "charge": MoveKind.CHARGE,
    "refund": MoveKind.REFUND,
    "dispute": MoveKind.DISPUTE,
    "dispute_reversal": MoveKind.DISPUTE_REVERSAL,
    "transfer": MoveKind.TRANSFER,
    "transfer_reversal": MoveKind.TRANSFER,  # its amount is positive
    "payout": MoveKind.PAYOUT,
    "payout_reversal": MoveKind.PAYOUT,  # a payout that came back
}


def balance_moves(client: stripe.StripeClient, since: datetime, until: datetime) -> list[BalanceMove]:
    """Every movement from `since` up to and without `until`, the oldest first.

    Raises GatewayUnavailable, and GatewayRefused for another currency or more than MOST movements.
    """
    span = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
    with provider_errors():
        listed = client.v1.balance_transactions.list(
            {"created": span, "limit": PAGE, "expand": ["data.source"]}  # type: ignore[typeddict-item]
        )
        rows = []
        for row in listed.auto_paging_iter():
            rows.append(row.to_dict())
            if len(rows) > MOST:
                raise GatewayRefused("too_many_moves", f"more than {MOST} in {span}")
    return [_move(row) for row in reversed(rows)]


def _move(row: dict[str, Any]) -> BalanceMove:
    if row["currency"] != CURRENCY:
        raise GatewayRefused("other_currency", f"{row['id']} is in {row['currency']}")
    source = row["source"]
    intent = source.get("payment_intent") if isinstance(source, dict) else None
    return BalanceMove(
        ref=row["id"],
        kind=KINDS.get(row["reporting_category"], MoveKind.OTHER),
        source_ref=id_of(source) or "",
        payment_ref=id_of(intent),
        amount_fen=row["amount"],
        fee_fen=row["fee"],
        occurred_at=instant_of(row["created"]),
    )
