"""Form-encoded parameters, read as strictly as Stripe reads them.

An unknown parameter is an error: a misspelt one would otherwise be lost here and refused in production.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import urlsplit

from marketplace.payments.stripe_emulator.faults import Json, invalid

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
MAX_AMOUNT = 99_999_999
METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500
REMOVED = frozenset({"payment_method_types"})  # gone since API version 2026-09-30.endive


def decode(pairs: Iterable[tuple[str, str]]) -> Json:
    """Nested values from `a[b][0][c]=v` pairs; `a[]=v` appends."""
    tree: Json = {}
    for key, value in pairs:
        match = _KEY.fullmatch(key)
        if match is None:
            raise invalid(f"Invalid parameter name: {key}", param=key)
        path = [match.group(1), *_PART.findall(match.group(2))]
        node = tree
        for part, following in pairwise(path):
            node = node.setdefault(part or str(len(node)), {})
            if not isinstance(node, dict):
                raise invalid(f"Invalid object at {following}", param=key)
        node[path[-1] or str(len(node))] = value
    return {key: _lists(value) for key, value in tree.items()}


def _lists(value: object) -> object:
    """Dictionaries whose keys are all numbers become lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def allow(params: Json, *names: str) -> None:
    """Refuse what the endpoint does not know. `expand` is always known."""
    for name in params:
        if name in REMOVED:
            message = f"The parameter `{name}` is no longer supported. Use `allowed_payment_method_types`."
            raise invalid(message, param=name, code="payment_method_types_no_longer_supported")
        if name not in names and name != "expand":
            raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def text(params: Json, name: str, *, limit: int = 5_000, param: str | None = None) -> str | None:
    """A text, or None when absent or empty."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {name}", param=param or name)
    if len(value) > limit:
        raise invalid(f"Invalid string: must be at most {limit} characters", param=param or name)
    return value


def required(params: Json, name: str, *, limit: int = 5_000, param: str | None = None) -> str:
    """A text that must be there."""
    value = text(params, name, limit=limit, param=param)
    if value is None:
        raise invalid(
            f"Missing required param: {param or name}.", param=param or name, code="parameter_missing"
        )
    return value


def whole(params: Json, name: str, *, param: str | None = None) -> int | None:
    """A whole number, or None when absent."""
    value = text(params, name, param=param)
    if value is None:
        return None
    if not re.fullmatch(r"-?\d{1,18}", value):
        raise invalid(f"Invalid integer: {value}", param=param or name, code="parameter_invalid_integer")
    return int(value)


def amount(params: Json, name: str = "amount", *, param: str | None = None) -> int:
    """A positive amount in the smallest unit, up to eight digits."""
    required(params, name, param=param)
    value = whole(params, name, param=param) or 0
    if value < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, param=param or name, code="parameter_invalid_integer")
    if value > MAX_AMOUNT:
        raise invalid("Amount must be no more than ¥999,999.99", param=param or name, code="amount_too_large")
    return value


def choice(params: Json, name: str, allowed: Iterable[str], default: str | None = None) -> str | None:
    """One of `allowed`, or the default when absent."""
    value = text(params, name)
    if value is None:
        return default
    if value not in (allowed := tuple(allowed)):
        raise invalid(f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
    return value


def flag(params: Json, name: str) -> bool:
    """True for "true"; absent is false."""
    return choice(params, name, ("true", "false"), "false") == "true"


def group(params: Json, name: str) -> Json:
    """A nested object, empty when absent."""
    value = params.get(name) or {}
    if not isinstance(value, dict):
        raise invalid("Invalid object", param=name)
    return value


def texts(params: Json, name: str) -> list[str]:
    """A list of texts, empty when absent."""
    value = params.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid("Invalid array", param=name)
    return value


def currency(params: Json, *, param: str = "currency") -> str:
    """A currency in lower case."""
    value = required(params, "currency", param=param)
    if not re.fullmatch(r"[A-Za-z]{3}", value):
        raise invalid(f"Invalid currency: {value}", param=param)
    return value.lower()


def metadata(params: Json) -> dict[str, str]:
    """Up to 50 pairs of short texts."""
    pairs = group(params, "metadata")
    if len(pairs) > METADATA_KEYS:
        raise invalid(f"Metadata can have at most {METADATA_KEYS} keys.", param="metadata")
    for key, value in pairs.items():
        if len(key) > METADATA_KEY_LENGTH or not isinstance(value, str) or len(value) > METADATA_VALUE_LENGTH:
            raise invalid(
                "Metadata keys have up to 40 characters and values up to 500.", param=f"metadata[{key}]"
            )
    return {key: value for key, value in pairs.items() if value}


def web_address(params: Json, name: str, *, needed: bool = False) -> str | None:
    """An http or https address."""
    value = required(params, name) if needed else text(params, name)
    if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc):
        raise invalid("Not a valid URL", param=name, code="url_invalid")
    return value
