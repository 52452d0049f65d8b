"""Certificates of every kind: their numbers by form, year and month, and what may not be claimed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from marketplace.catalog.certificates.claims import organic_claim
from marketplace.catalog.certificates.models import CertificateEvent, GiUse
from marketplace.catalog.certificates.queries import badges_of, certificates_of
from marketplace.catalog.certificates.rules import UseTerms, apply_certificate
from marketplace.catalog.models import Certificate, CertificateKind as K, CertificateState, ListingVersion
from marketplace.catalog.queries import SaleStop, sale_stop
from marketplace.catalog.rules import Said, check_said, publish_listing
from marketplace.core.clock import today
from marketplace.core.errors import DomainError
from marketplace.registry.reviews.models import ReviewCase
from tests.factories.certificates import certified
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.reviews import default_steps
from tests.factories.trade import TENTH, ProductFactory, new_version, offer

YEAR = {"issued_on": date(2026, 1, 10), "expires_on": date(2027, 1, 10)}
USE = UseTerms("乐安县茶叶协会", 12_000, 5_000_000)
GOOD: list[tuple[K, dict[str, Any], str]] = [
    (K.GREEN_FOOD, {"number": "LB-18-2512140123A", "enterprise_no": "GF361025230123"}, "LB-18-2512140123A"),
    (K.ORGANIC, {"number": "0134 OP 2300123-1", "enterprise_no": "134 25 123456789012"}, "0134OP2300123-1"),
    (K.ORGANIC_CONVERSION, {"number": "134OP2500456"}, "134OP2500456"),
    (K.GI_FARM_PRODUCT, {"number": "agi00353", "use": USE}, "AGI00353"),
    (K.GI_PROTECTED, {"number": "国家质检总局公告2008年第0123号"}, "2008年第123号"),
    (K.GI_PROTECTED, {"number": "2008-123"}, "2008年第123号"),
    (K.GI_MARK, {"number": "8254123"}, "8254123"),
    (K.FOREST_ECOLABEL, {"number": "st-36-2024-0012"}, "ST-36-2024-0012"),
    (K.FOREST_FOOD_BASE, {"number": "SLSP-2023-0045"}, "SLSP-2023-0045"),
]
BAD: list[tuple[K, dict[str, Any], str, str]] = [
    (K.GREEN_FOOD, {"number": "LB-18-2602140123A", "enterprise_no": "GF361025230123"}, "number", "green_food_later"),
    (K.GREEN_FOOD, {"number": "LB-18-2513140123A", "enterprise_no": "GF361025230123"}, "number", "green_food_month"),
    (K.ORGANIC, {"number": "OP2300123", "enterprise_no": "13425123456789012"}, "number", "organic_form"),
    (K.ORGANIC, {"number": "0134OP2700123", "enterprise_no": "13425123456789012"}, "number", "number_later"),
    (K.ORGANIC, {"number": "0134OP2300123", "enterprise_no": ""}, "enterprise_no", "organic_mark_form"),
    (K.ORGANIC, {"number": "0134OP2300123", "enterprise_no": "13427123456789012"}, "enterprise_no", "number_later"),
    (K.ORGANIC, {"number": "0134OP2300123", "enterprise_no": "13525123456789012"}, "enterprise_no", "organic_bodies"),
    (K.ORGANIC_CONVERSION, {"number": "134OP2500456", "enterprise_no": "1"}, "enterprise_no", "conversion_has_no_mark"),
    (K.GI_FARM_PRODUCT, {"number": "AGI353", "use": USE}, "number", "gi_farm_form"),
    (K.GI_FARM_PRODUCT, {"number": "AGI00353"}, "holder", "use_holder"),
    (K.GI_FARM_PRODUCT, {"number": "AGI00353", "use": UseTerms(" ", 1, 1)}, "holder", "use_holder"),
    (K.GI_FARM_PRODUCT, {"number": "AGI00353", "use": UseTerms("协会", 0, 1)}, "area", "use_area"),
    (K.GI_FARM_PRODUCT, {"number": "AGI00353", "use": UseTerms("协会", 1, 0)}, "cap", "use_cap"),
    (K.GI_PROTECTED, {"number": "1998年第3号"}, "number", "gi_notice_form"),
    (K.GI_PROTECTED, {"number": "2028年第3号"}, "number", "number_later"),
    (K.GI_PROTECTED, {"number": "2008年第3号", "use": USE}, "holder", "use_not_wanted"),
    (K.GI_MARK, {"number": "0123456"}, "number", "gi_mark_form"),
    (K.FOREST_ECOLABEL, {"number": "森林"}, "number", "forest_form"),
    (K.FOREST_FOOD_BASE, {"number": "AB-12"}, "number", "forest_form"),
    (K.ORGANIC, {"number": "0134OP2300123", "enterprise_no": "13425123456789012", "expires_on": date(2027, 1, 12)},
     "expires_on", "certificate_term"),
]  # fmt: skip


@pytest.fixture
def product(session, clock):
    default_steps()
    return ProductFactory(cooperative_row=CooperativeFactory())


def apply(session, product, kind, **wish):
    actor = actor_at(product.cooperative)
    return apply_certificate(session, actor, product=product, kind=kind, **(YEAR | wish))


def rows(session):
    tables = (Certificate, CertificateEvent, GiUse, ReviewCase)
    return [session.scalar(select(func.count()).select_from(table)) for table in tables]


@pytest.mark.parametrize(("kind", "wish", "number"), GOOD, ids=[str(kind) for kind, *_ in GOOD])
def test_each_kind_is_read_and_goes_to_the_county(session, product, kind, wish, number):
    certificate = apply(session, product, kind, **wish)
    assert (certificate.number, certificate.state) == (number, CertificateState.UNDER_REVIEW)
    assert rows(session) == [1, 1, 1 if kind is K.GI_FARM_PRODUCT else 0, 1]


@pytest.mark.parametrize(("kind", "wish", "field", "code"), BAD)
def test_what_cannot_be_is_refused_at_its_field(session, product, kind, wish, field, code):
    with pytest.raises(DomainError) as refused, session.begin_nested():
        apply(session, product, kind, **wish)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert rows(session) == [0, 0, 0, 0]


def test_an_organic_number_stays_when_renewed_but_is_one_cooperative_s(session, product):
    wish = {"number": "0134OP2300123", "enterprise_no": "13425123456789012"}
    first = apply(session, product, K.ORGANIC, **wish)
    first.state = CertificateState.VALID
    session.flush()
    days = {"issued_on": date(2026, 5, 1), "expires_on": date(2027, 5, 1)}
    renewal = apply(session, product, K.ORGANIC, **wish, **days, renews=first)
    assert (renewal.number, renewal.renews_id) == (first.number, first.id)
    before = rows(session)
    with pytest.raises(DomainError) as twice, session.begin_nested():
        apply(session, product, K.ORGANIC, **wish, issued_on=date(2026, 5, 2), renews=first)
    assert twice.value.code == "renewed_already"
    rival = ProductFactory(cooperative_row=CooperativeFactory())
    with pytest.raises(DomainError) as stolen, session.begin_nested():
        apply(session, rival, K.ORGANIC, **wish)
    assert stolen.value.code == "certificate_taken"
    values = {
        "public_no": "Z-STOLEN", "cooperative_id": rival.cooperative_id, "product_id": rival.id, "kind": K.ORGANIC,
        "number": first.number, "enterprise_no": "", "issuer": "", "state": CertificateState.UNDER_REVIEW, **YEAR,
    }  # fmt: skip
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(Certificate).values(values))
    assert rows(session) == before


def test_a_renewal_is_of_the_same_kind_and_product(session, product):
    held = certified(product)
    with pytest.raises(DomainError) as refused, session.begin_nested():
        apply(session, product, K.GI_MARK, number="8254123", renews=held)
    assert refused.value.code == "renews_another"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("有机山茶油", "有机山茶"),
        ("纯有 机 种植", "有机种植"),
        ("有·机茶", "有机茶"),
        ("100% Organic tea", "Organic"),
        ("施用有机肥，土壤有机质高", None),
        ("no organic fertilizer needed", None),
        ("高山茶油", None),
        ("", None),
    ],
)
def test_the_word_organic_is_found(text, words):
    assert organic_claim(text) == words


def publish(session, product, title="高山茶油", description="冷榨", certificate=None):
    return publish_listing(
        session,
        actor_at(product.cooperative),
        product=product,
        title=title,
        description=description,
        tiers=[(1, 5_000)],
        terms=TENTH,
        certificate=certificate,
    )


@pytest.mark.parametrize(
    ("texts", "field", "words"),
    [
        ({"title": "有机山茶油"}, "title", "有机山茶"),
        ({"title": "Organic oil"}, "title", "Organic"),
        ({"description": "有机种植十年"}, "description", "有机种植"),
    ],
)
def test_goods_in_conversion_may_not_claim_organic(session, product, texts, field, words):
    conversion = certified(product, K.ORGANIC_CONVERSION)
    with pytest.raises(DomainError) as refused, session.begin_nested():
        publish(session, product, **texts, certificate=conversion)
    assert (refused.value.code, refused.value.field, refused.value.params["words"]) == (
        "organic_claim",
        field,
        words,
    )
    assert session.scalar(select(func.count()).select_from(ListingVersion)) == 0
    assert badges_of(product, today()) == []
    assert publish(session, product, certificate=conversion).current_version.certificate is conversion
    certified(product, K.ORGANIC)
    said = Said(**{"title": "高山茶油", "description": "冷榨", **texts}, tiers=[(1, 5_000)], terms=TENTH)
    assert check_said(session, actor_at(product.cooperative), product, said).product is product


def test_the_database_refuses_the_claim_too(session, product, clock):
    offered = offer(session, product.cooperative)
    conversion = certified(offered.listing.product, K.ORGANIC_CONVERSION)
    with pytest.raises(IntegrityError), session.begin_nested():
        new_version(session, offered, title="有机山茶油", certificate=conversion)
    assert session.scalar(select(func.count()).select_from(ListingVersion)) == 1


def test_goods_called_organic_cannot_be_put_into_conversion(session, product):
    product.name = "有机山茶油"
    session.flush()
    with pytest.raises(DomainError) as refused, session.begin_nested():
        apply(session, product, K.ORGANIC_CONVERSION, number="134OP2500456")
    assert (refused.value.code, refused.value.field) == ("organic_claim", "kind")
    assert rows(session) == [0, 0, 0, 0]


def test_goods_called_organic_are_not_sold_after_the_certificate_ended(session, product, clock):
    certified(product, K.ORGANIC, expires_on=date(2026, 6, 2))
    listing = publish(session, product, title="有机山茶油")
    assert sale_stop(listing, today()) is None
    clock.advance(days=1)
    assert sale_stop(listing, today()) is SaleStop.CLAIM_LAPSED


def test_a_product_shows_every_certificate_in_force_once_a_kind(session, product, statements):
    other = ProductFactory(cooperative_row=product.cooperative)
    old = certified(product, expires_on=date(2026, 6, 2))
    new = certified(product)
    eco = certified(product, K.FOREST_ECOLABEL)
    certified(product, K.ORGANIC_CONVERSION)
    certified(product, K.ORGANIC, expires_on=date(2026, 6, 1))
    with statements() as sent:
        found = certificates_of(session, [product.id, other.id], today())
    assert found == {product.id: [new, eco], other.id: []}
    assert len(sent) == 1
    assert badges_of(product, today()) == [new, eco]
    assert old not in found[product.id]
