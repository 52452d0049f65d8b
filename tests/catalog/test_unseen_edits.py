"""Nothing that buyers trust shows before the county has looked at it, below the pages and in the database."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.listings.rules import drop_draft
from marketplace.catalog.models import LinkageTerm, Listing, ListingVersion, PriceTier, ProductPicture
from marketplace.catalog.prices.rules import assess_price, freeze_check
from marketplace.catalog.rules import add_picture, publish_listing, withdraw_listing
from marketplace.core.errors import Conflict
from marketplace.core.files import FileStore
from marketplace.linkage.models import Mechanism
from tests.catalog.test_listing_edits import SAID, Desk, jpeg
from tests.conftest import HeldClock
from tests.factories.prices import confirmed_policy
from tests.factories.reviews import default_steps
from tests.factories.trade import ProductFactory, looked_at


@pytest.fixture
def desk(session: Session, clock: HeldClock) -> Desk:
    default_steps()
    return Desk(session)


ROUND = [
    {"title": "山茶籽油"},
    {"description": "头道冷榨"},
    {"tiers": [(1, 5_501)]},
    {"tiers": [(1, 5_000), (10, 4_000)], "then": {"tiers": [(1, 5_000)]}},
    {"terms": {Mechanism.CONTRACT_FARMING: 999}},
]


@pytest.mark.parametrize("changes", ROUND)
def test_publishing_below_the_pages_does_not_go_round_the_county(
    desk: Desk, session: Session, changes: dict[str, Any]
) -> None:
    changes = dict(changes)
    then = changes.pop("then", None)
    if then is not None:
        publish_listing(session, desk.manager, product=desk.product, **{**SAID, **changes})
        changes = then
    before, version = desk.counts(), desk.listing.current_version_id
    undecided = desk.draft(title="山茶籽油")
    for edit in (None, undecided):
        with pytest.raises(Conflict) as refused, session.begin_nested():
            publish_listing(session, desk.manager, product=desk.product, edit=edit, **{**SAID, **changes})
        assert refused.value.code == "needs_review"
    drop_draft(session, desk.manager, undecided)
    assert desk.listing.current_version_id == version
    assert desk.counts() == [count + (table == 3) for table, count in enumerate(before)]


def further(session: Session, listing: Listing, **changes: Any) -> ListingVersion:
    """A further version of a listing, written past the rules."""
    said = {**SAID, **changes}
    written = session.scalar(
        select(func.count()).select_from(ListingVersion).where(ListingVersion.listing_id == listing.id)
    )
    version = ListingVersion(
        listing_id=listing.id, version=(written or 0) + 1, title=said["title"],
        description=said["description"], unit_name="瓶", net_mass_g=500,
        tiers=[PriceTier(min_quantity=least, unit_price_fen=price) for least, price in said["tiers"]],
        terms=[LinkageTerm(mechanism=mechanism, rate_bp=rate) for mechanism, rate in said["terms"].items()],
    )  # fmt: skip
    session.add(version)
    session.flush()
    return version


def go_on_to(session: Session, listing: Listing, version: ListingVersion) -> None:
    """Let a listing say what a version says, past the rules."""
    statement = update(Listing).where(Listing.id == listing.id).values(current_version_id=version.id)
    session.execute(statement.execution_options(synchronize_session=False))
    session.refresh(listing)


@pytest.mark.parametrize("changes", ROUND)
def test_the_database_refuses_what_the_county_has_not_looked_at(
    desk: Desk, session: Session, changes: dict[str, Any]
) -> None:
    changes = dict(changes)
    then = changes.pop("then", None)
    if then is not None:
        go_on_to(session, desk.listing, further(session, desk.listing, **changes))
        changes = then
    first, unseen = desk.listing.current_version, further(session, desk.listing, **changes)
    with pytest.raises(IntegrityError, match="has not looked at"), session.begin_nested():
        go_on_to(session, desk.listing, unseen)
    session.refresh(desk.listing)
    assert desk.listing.current_version_id == first.id
    looked_at(session, unseen)
    go_on_to(session, desk.listing, unseen)
    assert desk.listing.current_version_id == unseen.id


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tiers": [(1, 5_500)]},
        {"tiers": [(1, 4_000), (10, 3_900)]},
        {"terms": {Mechanism.CONTRACT_FARMING: 1_001}},
    ],
)
def test_the_database_lets_through_what_needs_no_look(
    desk: Desk, session: Session, changes: dict[str, Any]
) -> None:
    version = further(session, desk.listing, **changes)
    go_on_to(session, desk.listing, version)
    assert desk.listing.current_version_id == version.id


def test_the_database_knows_how_far_a_price_may_rise_where(desk: Desk, session: Session) -> None:
    strict = {"above_bp": 2_000, "below_bp": 4_000, "min_quotes": 3, "valid_days": 180, "explained_days": 180}
    for region, change_bp in (("36", 3_000), ("3610", 2_000)):
        confirmed_policy(session, region_code=region, change_bp=change_bp, **strict)
    for price_fen, passes in ((6_001, False), (6_000, True)):
        version = further(session, desk.listing, tiers=[(1, price_fen)])
        with nullcontext() if passes else pytest.raises(IntegrityError), session.begin_nested():
            go_on_to(session, desk.listing, version)
        session.refresh(desk.listing)
    assert desk.listing.current_version.tiers[0].unit_price_fen == 6_000


def test_the_database_keeps_goods_listed_anew_for_more_from_going_on_sale(
    desk: Desk, session: Session
) -> None:
    anew = ProductFactory(
        cooperative_row=desk.cooperative, name="山茶油（新包装）", specification="头道 500 克"
    )
    with pytest.raises(Conflict), session.begin_nested():
        publish_listing(session, desk.manager, product=anew, **{**SAID, "tiers": [(1, 5_501)]})
    listing = Listing(product=anew, cooperative_id=desk.cooperative.id)
    session.add(listing)
    session.flush()
    version = further(session, listing, tiers=[(1, 5_501)])
    finding = assess_price(session, anew, [(1, 5_501)])
    assert finding.relists.id == desk.listing.id
    freeze_check(session, version, finding)
    with pytest.raises(IntegrityError, match="has not looked at"), session.begin_nested():
        go_on_to(session, listing, version)


def test_a_picture_is_not_shown_before_somebody_looked(
    desk: Desk, session: Session, files: FileStore
) -> None:
    picture = add_picture(session, desk.manager, files, desk.product, content=jpeg(), alt_text="")
    withdraw_listing(session, desk.manager, desk.listing)
    assert add_picture(session, desk.manager, files, desk.product, content=jpeg(9), alt_text="").waits
    with pytest.raises(IntegrityError, match="has not looked at"), session.begin_nested():
        session.execute(update(ProductPicture).values(waits=False))
    shown = {"position": 9, "large_address": "9" * 64, "small_address": "8" * 64, "width": 400, "height": 300}
    with pytest.raises(IntegrityError, match="has not looked at"), session.begin_nested():
        session.add(ProductPicture(product_id=desk.product.id, alt_text="", **shown))
    session.refresh(picture)
    assert picture.waits
