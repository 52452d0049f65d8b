"""The pages of stories: writing with what was typed kept, the public list and page, pictures, home, taking down."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import select

from marketplace.catalog.stories.models import Story, StoryState, StoryVersion, VersionState
from marketplace.core.clock import now
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.registry.reviews.models import ReviewCase
from tests.catalog.test_stories import TEXT, jpeg, publish, save, submit
from tests.factories.identity import official_with
from tests.factories.registry import CooperativeFactory, user_of
from tests.factories.reviews import default_steps
from tests.factories.trade import offer

NEW = "/workshop/stories/new"


@pytest.fixture
def cooperative(session, clock):
    default_steps()
    return CooperativeFactory()


@pytest.fixture
def files(app):
    return app.extensions["files"]


@pytest.fixture
def official():
    return official_with(Role.COUNTY_REVIEWER)


def text_of(answer, status=200):
    assert answer.status_code == status
    return answer.get_data(as_text=True)


def look(client, address):
    with client.get(address) as answer:
        return answer.status_code, answer.mimetype


def typed(**changes):
    return {
        "title": "新油坊",
        "text": TEXT,
        "alt_text": "木榨",
        "picture": (io.BytesIO(jpeg()), "a.jpg"),
    } | changes


def shown(session, cooperative, place=0):
    """A story that is shown, without its review."""
    story = Story(cooperative_id=cooperative.id, state=StoryState.SHOWN, published_at=now())
    session.add(story)
    session.flush()
    version = StoryVersion(
        story_id=story.id, version=1, title=f"故事{place}号", text=TEXT, submitted_at=now()
    )
    version.state, version.large_address, version.small_address = VersionState.PUBLISHED, "0" * 64, "1" * 64
    session.add(version)
    session.flush()
    return version


def test_bad_input_keeps_what_was_typed_and_nothing_else(client, session, cooperative):
    client.sign_in(user_of(cooperative))
    refused = text_of(client.post(NEW, data=typed(title="打 13800000000", alt_text="木头榨机")), 422)
    assert "疑似身份证号或手机号" in refused
    assert "打 13800000000" in refused
    assert "木头榨机" in refused
    assert "至少写 30 个字" in text_of(client.post(NEW, data=typed(text="短")), 422)
    assert "请填写这一项" in text_of(client.post(NEW, data=typed(title="")), 422)
    assert client.post(NEW, data=typed(products=["D-NOTHERE"])).status_code == 404
    assert session.scalar(select(Story)) is None


def test_a_story_from_draft_to_everybody(client, session, cooperative, official):
    offered = offer(session, cooperative)
    product = offered.listing.product
    client.sign_in(user_of(cooperative))
    assert "还没有写过故事" in text_of(client.get("/workshop/stories"))
    kept = client.post(NEW, data=typed(act="draft", products=[product.public_no]))
    story = session.scalars(select(Story)).one()
    address = f"/workshop/stories/{story.public_no}"
    assert (kept.status_code, kept.headers["Location"]) == (303, address)
    page = text_of(client.get(address))
    assert "存为草稿" in page
    assert f'value="{product.public_no}"' in page
    sent = client.post(address, data={"title": "新油坊开张", "text": TEXT, "products": [product.public_no]})
    assert sent.status_code == 303
    assert "正在县里审核" in text_of(client.get(address))
    assert "待县里审核" in text_of(client.get("/workshop/stories"))
    version = session.scalars(select(StoryVersion)).one()
    picture = f"/stories/{story.public_no}/pictures/{version.large_address}.webp"
    assert look(client, picture) == (200, "image/webp")

    client.post("/sign-out")
    assert client.get(f"/stories/{story.public_no}").status_code == 404
    assert look(client, picture)[0] == 404
    assert "还没有故事" in text_of(client.get("/stories"))
    assert "新油坊开张" not in text_of(client.get("/"))

    client.sign_in(official)
    case = session.scalars(select(ReviewCase)).one()
    review = text_of(client.get(f"/reviews/{case.public_no}"))
    assert "霜降一过" in review
    assert picture in review
    assert look(client, picture)[0] == 200
    client.post(f"/reviews/{case.public_no}", data={"decision": "pass", "position": "1"})

    client.post("/sign-out")
    assert look(client, picture)[0] == 200
    for where in ("/stories", "/", f"/cooperatives/{cooperative.public_no}"):
        assert "新油坊开张" in text_of(client.get(where))
    page = text_of(client.get(f"/stories/{story.public_no}"))
    assert "霜降一过" in page
    assert offered.listing.public_no in page


def test_the_pages_of_another_cooperative_are_not_there(client, session, files, cooperative, official):
    version = save(session, files, cooperative)
    client.sign_in(user_of(CooperativeFactory()))
    address = f"/workshop/stories/{version.story.public_no}"
    assert client.get(address).status_code == 404
    assert client.post(address, data=typed()).status_code == 404
    assert client.post(f"{address}/withdrawn").status_code == 404
    assert client.post(f"{address}/shown").status_code == 404
    picture = f"/stories/{version.story.public_no}/pictures/{version.large_address}.webp"
    assert look(client, picture)[0] == 404
    session.refresh(version)
    assert version.title == "新油坊的第一锅油"


def test_the_county_of_another_place_does_not_see_a_picture_before_its_time(
    client, session, files, cooperative
):
    version = submit(session, files, cooperative)
    client.sign_in(official_with(Role.COUNTY_REVIEWER, "360781"))
    picture = f"/stories/{version.story.public_no}/pictures/{version.small_address}.webp"
    assert look(client, picture)[0] == 404


def test_taking_down_and_showing_again(client, session, files, cooperative, official):
    story = publish(session, files, cooperative, actor_of(official)).story
    client.sign_in(user_of(cooperative))
    address = f"/workshop/stories/{story.public_no}"
    assert "撤下这个故事" in text_of(client.get(address))
    assert client.post(f"{address}/withdrawn").status_code == 303
    assert client.get(f"/stories/{story.public_no}").status_code == 404
    assert "再展示" in text_of(client.get(address))
    assert "状态已经变了" in text_of(client.post(f"{address}/withdrawn", follow_redirects=True))
    client.post(f"{address}/shown")
    assert client.get(f"/stories/{story.public_no}").status_code == 200
    assert client.post(f"/stories/{story.public_no}/removed", data={"reason": "不实"}).status_code == 403

    client.sign_in(official)
    assert "撤下这个故事" in text_of(client.get(f"/stories/{story.public_no}"))
    assert "请填写这一项" in text_of(
        client.post(f"/stories/{story.public_no}/removed", data={"reason": ""}), 422
    )
    client.post(f"/stories/{story.public_no}/removed", data={"reason": "照片不是本社的"})
    assert client.get(f"/stories/{story.public_no}").status_code == 404

    client.sign_in(user_of(cooperative))
    assert "照片不是本社的" in text_of(client.get(address))


def test_lists_do_not_ask_once_a_story(client, session, cooperative, page_statements):
    def count(address):
        with page_statements() as sent:
            assert client.get(address).status_code == 200
        return len(sent)

    user = user_of(cooperative)
    shown(session, cooperative)
    client.sign_in(user)
    few = {address: count(address) for address in ("/stories", "/workshop/stories", "/")}
    for place in range(1, 15):
        shown(session, CooperativeFactory() if place % 2 else cooperative, place)
    assert {address: count(address) for address in few} == few
    first = text_of(client.get("/stories"))
    assert ("故事14号" in first, "故事1号" in first) == (True, False)
    assert "故事1号" in text_of(client.get("/stories?page=2"))
    assert client.get("/stories?page=x").status_code == 404
