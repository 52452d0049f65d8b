"""Certificates as they stand after their review, with the history that goes with them.

`certified(product)` is a valid Green Food certificate; `gi_certified(product, cap_g=…)` a geographical indication with
its yearly agreement. Both run from 1 January 2026 to the end of the year unless said otherwise.
"""

from __future__ import annotations

from datetime import date
from itertools import count

from sqlalchemy.orm import Session, object_session

from marketplace.catalog.certificates.models import CertificateDeed, CertificateEvent, GiUse
from marketplace.catalog.models import Certificate, CertificateKind, CertificateState, Product

SERIAL = count(1)
NUMBER_OF = {
    CertificateKind.GREEN_FOOD: "LB-18-251214{:04d}A",
    CertificateKind.ORGANIC: "0134OP25{:05d}",
    CertificateKind.ORGANIC_CONVERSION: "0134OP25{:05d}",
    CertificateKind.GI_FARM_PRODUCT: "AGI{:05d}",
    CertificateKind.FOREST_ECOLABEL: "ST-2025-{:04d}",
}


def certified(
    product: Product,
    kind: CertificateKind = CertificateKind.GREEN_FOOD,
    *,
    issued_on: date = date(2026, 1, 1),
    expires_on: date = date(2027, 1, 1),
) -> Certificate:
    """A certificate that its review has passed."""
    session = object_session(product)
    assert isinstance(session, Session)
    made = Certificate(
        cooperative_id=product.cooperative_id,
        product=product,
        kind=kind,
        number=NUMBER_OF[kind].format(next(SERIAL)),
        issued_on=issued_on,
        expires_on=expires_on,
        state=CertificateState.VALID,
    )
    session.add(made)
    session.flush()
    session.add(
        CertificateEvent(
            certificate_id=made.id,
            deed=CertificateDeed.PASSED,
            state=CertificateState.VALID,
            actor_name="审核员",
        )
    )
    session.flush()
    return made


def gi_certified(product: Product, *, cap_g: int, sold_g: int = 0) -> GiUse:
    """A geographical indication whose agreement allows `cap_g` grams."""
    session = object_session(product)
    assert isinstance(session, Session)
    use = GiUse(
        certificate=certified(product, CertificateKind.GI_FARM_PRODUCT),
        holder="乐安县茶叶协会",
        area_cmu=12_000,
        cap_g=cap_g,
        sold_g=sold_g,
    )
    session.add(use)
    session.flush()
    return use
