"""The machine's side: OpenAPI 3.1 under /api/v1, cursor pages, and one error shape (RFC 9457) for every refusal.

Rooms declare flask-smorest blueprints; errors are the app's own (see errors.py), so a machine and a person are refused
for the same reasons.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields, validate

TITLE = "Jiangxi Linkage Market"
MAX_LIMIT = 100
DEFAULT_LIMIT = 50
NUMBER_LENGTH = 24


class ProblemSchema(Schema):
    """RFC 9457: why a request was refused."""

    type = fields.String(required=True, metadata={"description": "A reference naming the kind of problem."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "What to fix, in the reader's language."})
    code = fields.String(required=True, metadata={"description": "Stable code of the refusal."})
    field = fields.String(metadata={"description": "The field meant, where one is."})
    errors = fields.Dict(metadata={"description": "Findings by place and field."})


class CursorSchema(Schema):
    """Which page of a list is asked for."""

    after = fields.String(
        validate=validate.Length(min=1, max=NUMBER_LENGTH),
        metadata={"description": "The cursor: rows after the one with this number."},
    )
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(min=1, max=MAX_LIMIT))


class MarketApi(Api):  # type: ignore[misc]
    """flask-smorest with our error documents: it documents them, the app's handlers answer with them."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Leave errors to the app."""


def init_api(app: Flask, blueprints: Iterable[Blueprint]) -> None:
    """Serve the API, and its description at /api/v1/openapi.json."""
    served = tuple(blueprints)
    for blueprint in served:
        app.register_blueprint(blueprint)

    @cache
    def described() -> dict[str, Any]:
        return _description_of(served)

    def openapi_json() -> ResponseReturnValue:
        """The description of the API; open to everybody."""
        return jsonify(described())

    openapi_json.access = "public"  # type: ignore[attr-defined]
    app.add_url_rule("/api/v1/openapi.json", "openapi_json", openapi_json)


def _description_of(blueprints: Iterable[Blueprint]) -> dict[str, Any]:
    """The OpenAPI document, its refusals under the media type they are sent with.

    It takes as long as all else of a start and few ask for it: hence not made with the app that serves the API.
    """
    app = Flask("description")
    app.config.update(API_TITLE=TITLE, API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    api = MarketApi(app)
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    api.spec.components.security_scheme("session", {"type": "apiKey", "in": "cookie", "name": "session"})
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    document: dict[str, Any] = api.spec.to_dict()
    for response in document["components"].get("responses", {}).values():
        content = response.get("content", {})
        if "application/json" in content:
            content["application/problem+json"] = content.pop("application/json")
    return document


def page_of_items(rows: list[dict[str, Any]], *, limit: int) -> dict[str, Any]:
    """A cursor page of up to `limit` rows, of which one more was read to know whether another page follows."""
    items = rows[:limit]
    return {"items": items, "next": items[-1]["no"] if len(rows) > limit else None}
