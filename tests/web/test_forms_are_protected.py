"""A form another site sends in a reader's name changes nothing: every POST needs the token of its page."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.routing import AnyConverter, BaseConverter, IntegerConverter, Rule

SIGNED_BY_THE_SENDER = {"payments.stripe_webhook"}


def sample_of(converter: BaseConverter) -> object:
    """A value the address accepts."""
    if isinstance(converter, AnyConverter):
        return min(converter.items)
    return 1 if isinstance(converter, IntegerConverter) else "X-1"


def address_of(app: Flask, rule: Rule) -> str:
    values = {name: sample_of(converter) for name, converter in rule._converters.items()}
    return app.url_map.bind("localhost").build(rule.endpoint, values)


@pytest.mark.databases("sqlite")
def test_every_form_is_refused_without_its_token(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    client = app.test_client()
    forms = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    assert len(forms) > 20
    let_in = []
    for rule in forms:
        answer = client.post(address_of(app, rule))
        if answer.status_code != 400 and rule.endpoint not in SIGNED_BY_THE_SENDER:
            let_in.append(f"{rule.rule}: {answer.status_code}")
    assert let_in == []
