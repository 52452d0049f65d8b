"""The kinds of orders: who may place one, where its parts begin, and which duties it does not know."""

from __future__ import annotations

from marketplace.identity.permissions import Permission
from marketplace.ordering.models import OrderKind
from marketplace.ordering.states import PartState

PERMISSION_OF = {
    OrderKind.PERSONAL: Permission.BUY_PERSONALLY,
    OrderKind.CANTEEN: Permission.ORDER_FOR_UNIT,
    OrderKind.UNION: Permission.ORDER_FOR_UNIT,
}
FIRST_STATE = {
    OrderKind.PERSONAL: PartState.AWAITING_PAYMENT,
    OrderKind.CANTEEN: PartState.AWAITING_APPROVAL,
    OrderKind.UNION: PartState.AWAITING_APPROVAL,
}
NOT_FOR = {  # duties that an order of the other kind does not know
    OrderKind.PERSONAL: frozenset({Permission.ORDER_FOR_UNIT, Permission.RECEIVE_FOR_UNIT}),
    OrderKind.CANTEEN: frozenset({Permission.BUY_PERSONALLY}),
    OrderKind.UNION: frozenset({Permission.BUY_PERSONALLY}),
}
