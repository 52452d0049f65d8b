"""The mechanisms there are. A further one is its own package and a line here (and one in pages.py)."""

from __future__ import annotations

from marketplace.core.errors import NotFound
from marketplace.linkage.mechanisms.asset_lease import mechanism as asset_lease
from marketplace.linkage.mechanisms.contract_farming import mechanism as contract_farming
from marketplace.linkage.mechanisms.employment import mechanism as employment
from marketplace.linkage.mechanisms.land_transfer import mechanism as land_transfer
from marketplace.linkage.mechanisms.production_trusteeship import mechanism as production_trusteeship
from marketplace.linkage.mechanisms.seam import MechanismModule
from marketplace.linkage.mechanisms.share_cooperation import mechanism as share_cooperation
from marketplace.linkage.models import Mechanism

MECHANISMS: dict[Mechanism, MechanismModule] = {
    Mechanism.CONTRACT_FARMING: contract_farming,
    Mechanism.LAND_TRANSFER: land_transfer,
    Mechanism.EMPLOYMENT: employment,
    Mechanism.PRODUCTION_TRUSTEESHIP: production_trusteeship,
    Mechanism.SHARE_COOPERATION: share_cooperation,
    Mechanism.ASSET_LEASE: asset_lease,
}


def module_of(mechanism: Mechanism) -> MechanismModule:
    """The module of a mechanism. Raises NotFound for one that cannot be agreed on yet."""
    if mechanism not in MECHANISMS:
        raise NotFound
    return MECHANISMS[mechanism]
