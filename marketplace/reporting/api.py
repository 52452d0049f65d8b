"""The API of household statements: what was credited in a span of days, and each credit of it, page by page."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy import select

from marketplace.core.clock import today
from marketplace.core.errors import NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.access import current_actor, requires
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.payments.models import Credit
from marketplace.payments.refunds.models import ReversalCause
from marketplace.registry.models import Household
from marketplace.registry.queries import household_by_no, household_of
from marketplace.reporting import income
from marketplace.web.api import CursorSchema
from marketplace.web.transaction import current_session

bp = Blueprint(
    "statements_api", __name__, url_prefix="/api/v1/statements", description="What households were credited."
)


class StatementQuerySchema(CursorSchema):
    """The days asked for, this year so far when absent."""

    since = fields.Date()
    until = fields.Date()


class SumSchema(Schema):
    """The credited fen of one mechanism."""

    mechanism = fields.String(required=True, metadata={"enum": [mechanism.value for mechanism in Mechanism]})
    amount_fen = fields.Integer(required=True)


class CreditSchema(Schema):
    """One credit. The buyer is told as a kind and a county, never by name."""

    no = fields.String(required=True)
    credited_at = fields.AwareDateTime(required=True)
    amount_fen = fields.Integer(required=True)
    mechanism = fields.String(required=True)
    attribution = fields.String(required=True, metadata={"enum": [kind.value for kind in Attribution]})
    goods = fields.String(required=True)
    line = fields.String(required=True)
    cooperative_name = fields.String(required=True)
    buyer_kind = fields.String(required=True)
    buyer_county = fields.String(required=True, allow_none=True)


class ChangeSchema(Schema):
    """A credit taken back in part (a negative amount) or given afterwards, and why."""

    at = fields.AwareDateTime(required=True)
    amount_fen = fields.Integer(required=True)
    relief_fen = fields.Integer(required=True)
    mechanism = fields.String(required=True)
    cause = fields.String(required=True, metadata={"enum": [cause.value for cause in ReversalCause]})
    reason = fields.String(required=True)
    goods = fields.String(required=True)


class StatementSchema(Schema):
    """A household's statement: sums of the whole span less what was taken back, credits newest first, and the latest
    changes of credits; `next` is the cursor of the next page."""

    household = fields.String(required=True)
    since = fields.Date(required=True)
    until = fields.Date(required=True)
    credited_fen = fields.Integer(required=True)
    by_mechanism = fields.List(fields.Nested(SumSchema), required=True)
    items = fields.List(fields.Nested(CreditSchema), required=True)
    changes = fields.List(fields.Nested(ChangeSchema), required=True)
    next = fields.String(required=True, allow_none=True)


def _credit_document(row: Any) -> dict[str, Any]:
    return {
        "no": row.Credit.public_no,
        "credited_at": row.Credit.credited_at,
        "amount_fen": row.Credit.amount_fen,
        "mechanism": row.Credit.mechanism.value,
        "attribution": row.attribution.value,
        "goods": row.title,
        "line": row.line_no,
        "cooperative_name": row.cooperative_name,
        "buyer_kind": income.buyer_words(row.order_kind, row.unit_kind).value,
        "buyer_county": row.county_name,
    }


def _statement(
    household: Household, asked: dict[str, Any], *, cooperative_id: int | None = None
) -> dict[str, Any]:
    """The statement; with `cooperative_id` only what came from that cooperative."""
    session, limit = current_session(), asked["limit"]
    since = asked.get("since") or today().replace(month=1, day=1)
    until = asked.get("until") or max(today(), since)
    if until < since:
        raise Refused("span", N_("结束日期不能早于开始日期"), field="until")
    span = income.Span(since, until)
    query = income.credits_of(household.id, span, cooperative_id=cooperative_id).limit(limit + 1)
    if "after" in asked:
        own = select(Credit.id).where(Credit.public_no == asked["after"], Credit.household_id == household.id)
        if cooperative_id is not None:
            own = own.where(Credit.cooperative_id == cooperative_id)
        cursor = session.scalar(own)
        if cursor is None:
            raise NotFound
        query = query.where(Credit.id < cursor)
    rows = session.execute(query).all()
    months = income.months_of(session, household.id, span, cooperative_id=cooperative_id)
    return {
        "household": household.public_no,
        "since": since,
        "until": until,
        "credited_fen": sum(month.amount_fen for month in months),
        "by_mechanism": [
            {"mechanism": mechanism.value, "amount_fen": amount}
            for mechanism, amount in income.by_mechanism(months).items()
        ],
        "items": [_credit_document(row) for row in rows[:limit]],
        "changes": [
            {
                "at": change.at,
                "amount_fen": change.amount_fen,
                "relief_fen": change.relief_fen,
                "mechanism": change.mechanism.value,
                "cause": change.cause.value,
                "reason": change.reason,
                "goods": change.title,
            }
            for change in income.later_changes(session, household.id, span, cooperative_id=cooperative_id)
        ],
        "next": rows[limit - 1].Credit.public_no if len(rows) > limit else None,
    }


@bp.route("/mine")
@requires(Permission.READ_OWN_INCOME)
@bp.arguments(StatementQuerySchema, location="query")
@bp.response(200, StatementSchema)
def own_statement(asked: dict[str, Any]) -> dict[str, Any]:
    """The statement of the household that asks."""
    household = household_of(current_session(), current_actor())
    if household is None:
        raise NotFound
    return _statement(household, asked)


@bp.route("/<string:household_no>")
@requires(Permission.READ_HOUSEHOLDS)
@bp.arguments(StatementQuerySchema, location="query")
@bp.response(200, StatementSchema)
def household_statement(asked: dict[str, Any], household_no: str) -> dict[str, Any]:
    """The statement of a household the reader may see; for a cooperative what came from itself."""
    session, actor = current_session(), current_actor()
    household = household_by_no(session, actor, household_no)
    return _statement(household, asked, cooperative_id=actor.cooperative_id)
