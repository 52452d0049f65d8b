"""Editing what is on sale: drafts, what waits for the county and what does not, versions, and the buyer's cart."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.catalog.listings.models import EditState, ListingEdit, Matter
from marketplace.catalog.listings.queries import differences_of, history_of, new_pictures, open_edit
from marketplace.catalog.listings.rules import (
    apply_edit_outcome,
    drop_draft,
    ensure_draft,
    save_draft,
    submit_draft,
)
from marketplace.catalog.models import (
    Listing,
    ListingVersion,
    Product,
    ProductPicture,
)
from marketplace.catalog.prices.models import PriceCheck
from marketplace.catalog.rules import add_picture, publish_listing, withdraw_listing
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, User
from marketplace.linkage.models import Mechanism
from marketplace.ordering.models import CartLine, Order, OrderKind
from marketplace.registry.reviews.models import Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.queries import last_case_of
from marketplace.registry.reviews.rules import decide_step
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, actor_with
from tests.factories.registry import CooperativeFactory, actor_at, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import TENTH, ProductFactory, new_version, offer, staff_buyer
from tests.journeys.paper import Visitor

OUTCOMES = {ReviewKind.LISTING_CHANGE: apply_edit_outcome}
SAID: dict[str, Any] = {"title": "山茶油", "description": "冷榨", "tiers": [(1, 5_000)], "terms": TENTH}


class Desk:
    """A cooperative's manager with a listing on sale at 50.00 yuan, and the county's reviewer."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cooperative = CooperativeFactory()
        self.manager: Actor = actor_at(self.cooperative)
        self.product: Product = ProductFactory(cooperative_row=self.cooperative)
        self.listing: Listing = publish_listing(session, self.manager, product=self.product, **SAID)

    def draft(self, **changes: Any) -> ListingEdit:
        return save_draft(self.session, self.manager, self.product, **{**SAID, **changes})

    def submit(self, **changes: Any) -> ListingEdit:
        return submit_draft(self.session, self.manager, self.draft(**changes))

    def answer(self, edit: ListingEdit, decision: Decision, comment: str = "") -> None:
        case = last_case_of(self.session, ReviewKind.LISTING_CHANGE, edit.id)
        assert case is not None
        reviewer = actor_with(Role.COUNTY_REVIEWER)
        decide_step(self.session, reviewer, case, decision=decision, comment=comment, outcomes=OUTCOMES)

    def counts(self) -> list[int | None]:
        tables = (Listing, ListingVersion, PriceCheck, ListingEdit, ReviewCase, ProductPicture)
        return [self.session.scalar(select(func.count()).select_from(table)) for table in tables]


@pytest.fixture
def desk(session: Session, clock: HeldClock) -> Desk:
    default_steps()
    return Desk(session)


def jpeg(shade: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), (200, 120, shade)).save(out, "JPEG")
    return out.getvalue()


# --- at once, or after a look ---


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tiers": [(1, 4_000)]},
        {"tiers": [(1, 5_500)]},
        {"tiers": [(1, 5_500), (10, 5_400)]},
        {"terms": {Mechanism.CONTRACT_FARMING: 1_500}},
        {"terms": {Mechanism.LAND_TRANSFER: 1_000}},
    ],
)
def test_small_edits_show_at_once(desk: Desk, changes: dict[str, Any]) -> None:
    edit = desk.submit(**changes)
    assert (edit.state, edit.matters) == (EditState.PUBLISHED, [])
    assert desk.listing.current_version_id == edit.version_id
    assert desk.listing.current_version.version == 2


@pytest.mark.parametrize(
    ("changes", "matter"),
    [
        ({"title": "有机山茶籽油"}, Matter.TITLE),
        ({"description": "头道冷榨"}, Matter.DESCRIPTION),
        ({"tiers": [(1, 5_501)]}, Matter.PRICE),
        ({"terms": {Mechanism.CONTRACT_FARMING: 999}}, Matter.TERMS),
    ],
)
def test_what_buyers_trust_waits_for_the_county(
    desk: Desk, session: Session, changes: dict[str, Any], matter: Matter
) -> None:
    if matter is Matter.TITLE:
        changes = {"title": "山茶籽油"}
    edit = desk.submit(**changes)
    assert (edit.state, edit.matters) == (EditState.WAITING, [matter.value])
    assert desk.listing.current_version.version == 1
    desk.answer(edit, Decision.PASS)
    assert (edit.state, edit.version_id) == (EditState.PUBLISHED, desk.listing.current_version_id)
    assert desk.listing.current_version.version == 2
    assert edit.decided_by != edit.submitted_by
    assert session.get(PriceCheck, edit.version_id) is not None


def test_a_rise_hidden_in_the_tiers_waits_too(desk: Desk) -> None:
    desk.submit(tiers=[(1, 5_000), (10, 4_000)])
    assert desk.submit(tiers=[(1, 5_000)]).matters == [Matter.PRICE.value]


def test_an_edit_sent_back_is_a_draft_again_and_a_refused_one_is_over(desk: Desk, session: Session) -> None:
    edit = desk.submit(title="山茶籽油")
    desk.answer(edit, Decision.RETURN, "标题里请写明等级")
    assert (edit.state, edit.answer) == (EditState.DRAFT, "标题里请写明等级")
    again = desk.submit(title="一级山茶籽油")
    assert (again.id, again.state) == (edit.id, EditState.WAITING)
    desk.answer(again, Decision.REJECT, "和实物不符")
    assert (again.state, again.answer) == (EditState.REFUSED, "和实物不符")
    assert open_edit(session, desk.product) is None
    assert desk.listing.current_version.version == 1


def test_two_people_decide_an_edit(desk: Desk, session: Session) -> None:
    edit = desk.submit(title="山茶籽油")
    case = last_case_of(session, ReviewKind.LISTING_CHANGE, edit.id)
    with pytest.raises(Forbidden):
        decide_step(session, desk.manager, case, decision=Decision.PASS, outcomes=OUTCOMES)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(ListingEdit).values(decided_by=edit.submitted_by))
    assert (edit.state, desk.listing.current_version.version) == (EditState.WAITING, 1)


# --- refusals leave everything as it was ---


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": "  "}, "words_missing"),
        ({"tiers": []}, "tiers"),
        ({"tiers": [(2, 5_000)]}, "first_tier"),
        ({"title": "新茶油", "terms": {}}, "terms_below_floor"),
        ({"title": "新茶油", "tiers": [(1, 0)]}, "tier_values"),
    ],
)
def test_what_could_not_be_published_is_not_handed_in(
    desk: Desk, session: Session, changes: dict[str, Any], code: str
) -> None:
    desk.draft(**changes)
    before = desk.counts()
    with pytest.raises(DomainError) as refused, session.begin_nested():
        desk.submit(**changes)
    assert refused.value.code == code
    assert desk.counts() == before
    assert open_edit(session, desk.product).state is EditState.DRAFT
    assert desk.listing.current_version.version == 1


def test_nothing_is_edited_while_an_edit_waits(desk: Desk, session: Session) -> None:
    edit = desk.submit(title="山茶籽油")
    before = desk.counts()
    for attempt in (
        lambda: desk.draft(title="别的"),
        lambda: submit_draft(session, desk.manager, edit),
        lambda: drop_draft(session, desk.manager, edit),
    ):
        with pytest.raises(Conflict):
            attempt()
    assert desk.counts() == before
    assert edit.title == "山茶籽油"


def test_a_draft_is_its_own_cooperative_s(desk: Desk, session: Session) -> None:
    edit = desk.draft(title="草稿")
    for actor, error in ((actor_at(CooperativeFactory()), NotFound), (staff_buyer(), Forbidden)):
        with pytest.raises(error):
            save_draft(session, actor, desk.product, **SAID)
        with pytest.raises(error):
            submit_draft(session, actor, edit)
        with pytest.raises(error):
            drop_draft(session, actor, edit)
    with pytest.raises(Refused):
        desk.draft(title="长" * 81)
    assert (edit.state, edit.title) == (EditState.DRAFT, "草稿")


def test_one_open_edit_a_product_stands_in_the_database(desk: Desk, session: Session) -> None:
    desk.draft()
    second = ListingEdit(
        product_id=desk.product.id, cooperative_id=desk.cooperative.id, title="", description="", tiers=[], terms={}
    )  # fmt: skip
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(second)


# --- drafts, versions, pictures ---


def test_a_draft_says_what_it_changes_and_may_be_given_up(desk: Desk, session: Session) -> None:
    edit = desk.draft(tiers=[(1, 4_800), (10, 4_500)], title="")
    assert [(one.part.value, one.before, one.after) for one in differences_of(edit)] == [
        ("title", "山茶油", ""),
        ("tiers", ((1, 5_000),), ((1, 4_800), (10, 4_500))),
    ]
    assert desk.draft().id == edit.id
    assert differences_of(edit) == []
    drop_draft(session, desk.manager, edit)
    assert (edit.state, open_edit(session, desk.product)) == (EditState.DROPPED, None)


def test_versions_tell_what_each_changed(desk: Desk, session: Session) -> None:
    desk.submit(tiers=[(1, 4_000)])
    desk.submit(tiers=[(1, 4_000)])
    steps = history_of(session, desk.listing)
    assert [(step.version.version, [one.part.value for one in step.changes]) for step in steps] == [
        (3, []),
        (2, ["tiers"]),
        (1, ["title", "description", "tiers", "terms"]),
    ]


def test_a_new_picture_waits_with_its_edit(desk: Desk, session: Session, files: FileStore) -> None:
    picture = add_picture(session, desk.manager, files, desk.product, content=jpeg(), alt_text="")
    assert (picture.waits, desk.product.pictures) == (True, [])
    edit = ensure_draft(session, desk.manager, desk.product)
    assert submit_draft(session, desk.manager, edit).matters == [Matter.PICTURE.value]
    desk.answer(edit, Decision.PASS)
    session.expire_all()
    assert [one.id for one in desk.product.pictures] == [picture.id]
    add_picture(session, desk.manager, files, desk.product, content=jpeg(90), alt_text="")
    drop_draft(session, desk.manager, ensure_draft(session, desk.manager, desk.product))
    assert new_pictures(session, desk.product) == []


def test_what_somebody_handed_in_who_has_left_since_can_still_be_passed(desk: Desk, session: Session) -> None:
    edit = desk.submit(title="山茶籽油")
    user = session.get_one(User, desk.manager.user_id)
    user.roles, user.organisation, user.disabled_at = [], None, now()
    session.flush()
    desk.answer(edit, Decision.PASS)
    assert (edit.state, desk.listing.current_version.title) == (EditState.PUBLISHED, "山茶籽油")


def test_no_picture_comes_in_while_the_county_looks(desk: Desk, session: Session, files: FileStore) -> None:
    edit = desk.submit(title="山茶籽油")
    with pytest.raises(Conflict, match="核对"):
        add_picture(session, desk.manager, files, desk.product, content=jpeg(), alt_text="")
    assert (edit.state, new_pictures(session, desk.product)) == (EditState.WAITING, [])
    desk.answer(edit, Decision.PASS)
    session.expire_all()
    assert desk.product.pictures == []


def test_withdrawing_is_no_way_round_the_look_at_a_picture(
    desk: Desk, session: Session, files: FileStore
) -> None:
    withdraw_listing(session, desk.manager, desk.listing)
    picture = add_picture(session, desk.manager, files, desk.product, content=jpeg(), alt_text="")
    assert (picture.waits, desk.product.pictures) == (True, [])
    edit = ensure_draft(session, desk.manager, desk.product)
    assert edit is not None
    assert submit_draft(session, desk.manager, edit).matters == [Matter.PICTURE.value]
    assert edit.state is EditState.WAITING


@pytest.mark.parametrize("deed", ["save", "drop", "submit", "picture"])
def test_what_another_page_handed_in_meanwhile_is_left_alone(
    desk: Desk, session: Session, files: FileStore, deed: str
) -> None:
    edit = desk.draft(title="山茶籽油")
    handed_in = {"state": EditState.WAITING, "submitted_at": now(), "submitted_by": desk.manager.user_id}
    session.execute(
        update(ListingEdit).values(**handed_in), execution_options={"synchronize_session": False}
    )  # as another transaction does, of which this session's copy knows nothing
    assert edit.state is EditState.DRAFT
    before = desk.counts()
    deeds = {
        "save": lambda: desk.draft(title="别的油"),
        "drop": lambda: drop_draft(session, desk.manager, edit),
        "submit": lambda: submit_draft(session, desk.manager, edit),
        "picture": lambda: add_picture(
            session, desk.manager, files, desk.product, content=jpeg(), alt_text=""
        ),
    }
    with pytest.raises(Conflict):
        deeds[deed]()
    session.expire_all()
    assert (edit.state, edit.title, desk.counts()) == (EditState.WAITING, "山茶籽油", before)


def test_goods_listed_anew_for_more_wait_and_for_less_do_not(desk: Desk, session: Session) -> None:
    withdraw_listing(session, desk.manager, desk.listing)
    anew = ProductFactory(
        cooperative_row=desk.cooperative, name="山茶油（新包装）", specification="头道 500 克"
    )
    cheap = save_draft(session, desk.manager, anew, **{**SAID, "tiers": [(1, 5_501)]})
    assert submit_draft(session, desk.manager, cheap).matters == [Matter.RELISTED.value]
    desk.answer(cheap, Decision.PASS)
    assert cheap.state is EditState.PUBLISHED
    third = ProductFactory(cooperative_row=desk.cooperative, name="山茶油", specification="初榨 500 克")
    edit = save_draft(session, desk.manager, third, **{**SAID, "tiers": [(1, 6_000)]})
    assert submit_draft(session, desk.manager, edit).state is EditState.PUBLISHED


# --- pages ---


OFFER = {
    "title": "山茶油",
    "description": "冷榨",
    "tier-0-quantity": "1",
    "tier-0-price": "50",
    "term-contract_farming": "10",
}


def test_a_draft_is_kept_compared_and_handed_in(client: MarketClient, session: Session, desk: Desk) -> None:
    client.sign_in(user_of(desk.cooperative))
    visitor, path = Visitor(client), f"/workshop/products/{desk.product.public_no}"
    kept = client.post(f"{path}/offer", data={**OFFER, "title": "山茶籽油", "act": "draft"})
    assert kept.status_code == 303
    page = visitor.open(f"{path}/offer")
    assert page.has("草稿和在售内容的不同", "山茶籽油", "存为草稿")
    assert visitor.open("/desk").has("1 份商品草稿还没有提交")
    assert visitor.open(f"/products/{desk.listing.public_no}").has("山茶油")
    assert client.post(f"{path}/offer", data={**OFFER, "title": "山茶籽油"}).location.endswith(path)
    assert visitor.open(f"{path}/offer").has("这次修改正在县里核对")
    refused = client.post(f"{path}/offer", data={**OFFER, "title": "又改"})
    assert refused.status_code == 422
    county = UserFactory(granted=(Role.COUNTY_REVIEWER,), organisation=None)
    assert county.id
    edit = session.scalars(select(ListingEdit)).one()
    case = last_case_of(session, ReviewKind.LISTING_CHANGE, edit.id)
    assert visitor.open(f"/reviews/{case.public_no}").has("要核对的内容", "标题", "山茶籽油")
    desk.answer(edit, Decision.PASS)
    session.commit()
    assert visitor.open(f"/products/{desk.listing.public_no}").has("山茶籽油")
    assert visitor.open(f"{path}/versions").has("第 2 版", "第 1 版", "山茶籽油")


def test_the_checkout_tells_what_changed_and_asks(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory())
    client.sign_in(UserFactory())
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2", "for": "personal"})
    new_version(session, offered, tiers=((1, 5_500),), terms={Mechanism.CONTRACT_FARMING: 800})
    visitor = Visitor(client)
    told = ("单价从 ¥50.00 变为 ¥55.00", "每 100 元归农户的从 ¥10.00 变为 ¥8.00")
    assert visitor.open("/cart").has(*told)
    page = visitor.open("/checkout")
    assert page.has(*told)
    filled = {
        "recipient_name": "周小梅",
        "recipient_phone": "13800000000",
        "address": "鳌溪镇迎宾路 1 号",
        "region": "outside",
    }
    refused = visitor.press(page, "提交订单", status=422, **filled)
    assert refused.has("请看过后勾选确认")
    assert session.scalar(select(func.count()).select_from(Order)) == 0
    assert session.scalar(select(func.count()).select_from(CartLine)) == 1
    visitor.press(refused, "提交订单", agrees="y")
    order = session.scalars(select(Order)).one()
    assert (order.kind, order.total_fen) == (OrderKind.PERSONAL, 11_000)


def test_a_change_that_does_not_touch_the_line_is_not_asked_about(
    client: MarketClient, session: Session, clock: HeldClock
) -> None:
    offered = offer(session, CooperativeFactory())
    client.sign_in(UserFactory())
    client.post(f"/cart/{offered.listing.public_no}", data={"quantity": "2", "for": "personal"})
    new_version(session, offered, tiers=((1, 5_000), (100, 4_000)))
    assert not Visitor(client).open("/cart").has("种商品变了")
