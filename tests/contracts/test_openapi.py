"""The API keeps what its description promises: fuzzed by schemathesis, as a visitor and as an auditor."""

from __future__ import annotations

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy.orm import Session

from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.identity.rules import issue_token
from marketplace.payments.settlement import settle_lines
from tests.conftest import MarketClient
from tests.factories.identity import official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.registry import CooperativeFactory, EnrolmentFactory
from tests.factories.trade import offer, sell

EXAMPLES = 25


def some_trade(session: Session) -> None:
    """A settled sale, so that no list is empty."""
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
    EntitlementFactory(agreement=contract, lot=offered.lot)
    sell(session, offered, units=2)
    settle_lines(session)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("role", [None, Role.AUDITOR])
def test_every_operation_answers_as_described(
    app: Flask, client: MarketClient, session: Session, role: Role | None
) -> None:
    some_trade(session)
    headers = {}
    if role is not None:
        _token, secret = issue_token(session, actor_of(official_with(role)), name="fuzzing")
        headers = {"Authorization": f"Bearer {secret}"}
    session.commit()
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    for operation in schema.get_all_operations():

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.ok().as_strategy())
        def fuzz(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers)

        fuzz()
