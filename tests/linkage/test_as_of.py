"""Up to which entitlement a sharing reads."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from marketplace.core.db import session_maker
from marketplace.linkage.as_of import last_entitlement_id
from marketplace.linkage.models import Agreement, Entitlement, Lot
from marketplace.linkage.rules import record_weigh_slip
from tests.factories.linkage import ContractFactory, EntitlementFactory, LotFactory
from tests.factories.registry import actor_at, beneficiary_policy


def test_the_last_entitlement_is_the_one_recorded_last(session):
    assert session.scalar(select(last_entitlement_id())) == 0
    contract = ContractFactory()
    lot = LotFactory(cooperative=contract.cooperative)
    rows = [EntitlementFactory(agreement=contract, lot=lot) for _ in range(3)]
    assert session.scalar(select(last_entitlement_id())) == rows[-1].id


@pytest.mark.databases("postgresql")
def test_no_sharing_passes_over_a_slip_that_is_being_recorded(session, engine):
    beneficiary_policy()
    contract = ContractFactory()
    lot = LotFactory(cooperative=contract.cooperative)
    manager = actor_at(contract.cooperative)
    session.commit()
    sessions = session_maker(engine)
    with sessions() as recording, sessions() as sharing:
        agreement, its_lot = recording.get_one(Agreement, contract.id), recording.get_one(Lot, lot.id)
        record_weigh_slip(
            recording,
            manager,
            agreement=agreement,
            lot=its_lot,
            slip_no="GB1",
            weighed_on=date(2026, 5, 20),
            grade="统货",
            net_g=1_000,
            signatures=("张三", "李四"),
        )
        sharing.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            sharing.scalar(select(last_entitlement_id()))
        sharing.rollback()
        recording.commit()
        assert sharing.scalar(select(last_entitlement_id())) == sharing.scalar(select(Entitlement.id))
