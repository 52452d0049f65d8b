"""Whom this deployment sells to: persons pay on line, units by bank transfer, and each way is a switch (config.py).

Asked where something new begins, at the edges: a cart, a checkout, a request, a group purchase, a batch of vouchers.
What was agreed on before goes on and stays payable; see docs/decisions, "who-may-buy-follows-from-the-ways-of-paying".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, current_app

from marketplace.core.errors import DomainError
from marketplace.core.labels import N_
from marketplace.ordering.models import OrderKind

View = TypeVar("View", bound=Callable[..., Any])
UNITS_OFF = N_("本站目前只面向个人销售，货款在线支付，没有开通单位采购；有需要请联系平台")
PERSONS_OFF = N_("本站目前只面向单位销售，没有开通个人购买；有需要请联系平台")


class NotServed(DomainError):
    """The deployment does not sell to this kind of buyer."""

    status = 403
    title = N_("本站没有开通")


def serves_units() -> bool:
    """Whether units may begin to buy."""
    return bool(current_app.config["SETTINGS"].bank_transfers)


def serves_persons() -> bool:
    """Whether persons may begin to buy."""
    return bool(current_app.config["SETTINGS"].card_payments)


def is_served(kind: OrderKind) -> bool:
    """Whether an order of this kind may be begun."""
    return serves_persons() if kind == OrderKind.PERSONAL else serves_units()


def not_served(kind: OrderKind) -> str:
    """Why not; the message to be translated."""
    return PERSONS_OFF if kind == OrderKind.PERSONAL else UNITS_OFF


def require_served(kind: OrderKind) -> None:
    """Raise NotServed, saying whom this deployment sells to, unless an order of this kind may be begun."""
    if not is_served(kind):
        raise NotServed("not_served", not_served(kind))


def for_units(view: View) -> View:
    """A view where a unit begins to buy. Put it below `@requires`."""

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        require_served(OrderKind.CANTEEN)
        return view(*args, **kwargs)

    return checked  # type: ignore[return-value]


def init_served(app: Flask) -> None:
    """Let every page ask whom the deployment sells to."""
    app.context_processor(
        lambda: {
            "serves_units": serves_units(),
            "serves_persons": serves_persons(),
            "is_served": is_served,
            "not_served": not_served,
        }
    )
