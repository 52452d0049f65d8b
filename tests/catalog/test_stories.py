"""Stories of cooperatives: what is refused, the review, new versions, taking down and showing again."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.catalog.stories.models import Story, StoryState as S, StoryVersion, VersionState as V
from marketplace.catalog.stories.queries import newest_stories, own_story, published_version, shown_story
from marketplace.catalog.stories.rules import (
    apply_story_outcome,
    remove_story,
    save_story,
    show_story_again,
    submit_story,
    withdraw_story,
)
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound
from marketplace.core.files import FileStore
from marketplace.identity.actors import VISITOR, actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.registry.models import CooperativeState
from marketplace.registry.reviews.models import CaseState, Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.rules import decide_step
from tests.factories.identity import official_with
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.reviews import default_steps
from tests.factories.trade import offer

OUTCOMES = {ReviewKind.STORY: apply_story_outcome}
TEXT = "霜降一过就上山摘油茶果。\n\n果子摊开晒七天，壳自己裂开。今年第一次用上了新油坊，大家都来看。"
ID_NUMBER = "360102199003078515"


def jpeg(shade: int = 90, side: int = 300) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 120, 60)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def files(app) -> FileStore:
    return app.extensions["files"]


@pytest.fixture
def cooperative(session, clock):
    default_steps()
    return CooperativeFactory()


@pytest.fixture
def county():
    return actor_of(official_with(Role.COUNTY_REVIEWER))


def save(session, files, cooperative, **changes):
    wish = {"title": "新油坊的第一锅油", "text": TEXT, "picture": jpeg(), "alt_text": "油坊里的木榨"}
    return save_story(session, actor_at(cooperative), files, **(wish | changes))


def submit(session, files, cooperative, **changes):
    return submit_story(session, actor_at(cooperative), save(session, files, cooperative, **changes))


def decide(session, actor, decision=Decision.PASS, comment=""):
    query = select(ReviewCase).where(ReviewCase.kind == ReviewKind.STORY, ReviewCase.state == CaseState.OPEN)
    case = session.scalars(query).one()
    return decide_step(session, actor, case, decision=decision, comment=comment, outcomes=OUTCOMES)


def publish(session, files, cooperative, county, **changes):
    version = submit(session, files, cooperative, **changes)
    decide(session, county)
    return version


def rows(session):
    tables = (Story, StoryVersion, ReviewCase, TrailEntry)
    return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def titles(session):
    return [version.title for version in newest_stories(session)]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"title": "  "}, "words_missing", "title"),
        ({"title": "长" * 61}, "words_long", "title"),
        ({"text": "长" * 3001}, "words_long", "text"),
        ({"alt_text": "长" * 121}, "words_long", "alt_text"),
        ({"title": f"老人 {ID_NUMBER}"}, "personal_number_in_public_text", "title"),
        ({"text": f"{TEXT}身份证 {ID_NUMBER[:6]} {ID_NUMBER[6:]}"}, "personal_number_in_public_text", "text"),
        ({"text": f"{TEXT}电话 138-0000-0000"}, "personal_number_in_public_text", "text"),
        ({"alt_text": "１３８００００００００"}, "personal_number_in_public_text", "alt_text"),
        ({"picture": b"<svg/>"}, "picture_format", "picture"),
        ({"picture": b""}, "picture_empty", "picture"),
        ({"picture": jpeg(side=100)}, "picture_small", "picture"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_changes_nothing(
    session, files, cooperative, changes, code, field
):
    before = rows(session)
    with pytest.raises(DomainError) as refused:
        save(session, files, cooperative, **changes)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert rows(session) == before


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"text": "太短了。"}, "text_short", "text"),
        ({"picture": None}, "picture_missing", "picture"),
    ],
)
def test_an_unfinished_draft_is_kept_but_not_handed_in(session, files, cooperative, changes, code, field):
    draft = save(session, files, cooperative, **changes)
    before = rows(session)
    with pytest.raises(DomainError) as refused:
        submit_story(session, actor_at(cooperative), draft)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert (draft.state, draft.submitted_at, rows(session)) == (V.DRAFT, None, before)


def test_too_many_products_and_those_of_others_are_refused(session, files, cooperative):
    own = offer(session, cooperative).listing.product
    with pytest.raises(DomainError) as many:
        save(session, files, cooperative, products=[own] * 7)
    assert many.value.code == "too_many_products"
    other = offer(session, CooperativeFactory()).listing.product
    with pytest.raises(NotFound):
        save(session, files, cooperative, products=[other])
    assert session.scalar(select(Story)) is None


def test_only_an_admitted_cooperative_writes(session, files, cooperative, county):
    with pytest.raises(Forbidden):
        save_story(session, county, files, title="县里写的", text=TEXT)
    cooperative.state = CooperativeState.SUSPENDED
    with pytest.raises(DomainError) as refused:
        save(session, files, cooperative)
    assert refused.value.code == "not_admitted"
    assert session.scalar(select(Story)) is None


def test_nothing_is_shown_before_the_county_has_passed_it(session, files, cooperative, county):
    product = offer(session, cooperative).listing.product
    version = save(session, files, cooperative, products=[product])
    assert titles(session) == []
    submit_story(session, actor_at(cooperative), version)
    assert (titles(session), version.state, version.story.state) == ([], V.WAITING, S.UNPUBLISHED)
    decide(session, county)
    assert titles(session) == ["新油坊的第一锅油"]
    assert (version.state, version.story.state, version.decided_by) == (V.PUBLISHED, S.SHOWN, county.user_id)
    assert [one.id for one in version.products] == [product.id]


def test_what_waits_cannot_be_changed_or_handed_in_again(session, files, cooperative):
    version = submit(session, files, cooperative)
    before = rows(session)
    with pytest.raises(Conflict):
        save(session, files, cooperative, story=version.story, title="改一改")
    with pytest.raises(Conflict):
        submit_story(session, actor_at(cooperative), version)
    assert (version.title, rows(session)) == ("新油坊的第一锅油", before)


def test_a_version_under_review_does_not_replace_the_published_one(session, files, cooperative, county):
    first = publish(session, files, cooperative, county)
    second = submit(session, files, cooperative, story=first.story, title="又一锅油", picture=None)
    assert titles(session) == ["新油坊的第一锅油"]
    assert (second.version, second.large_address) == (2, first.large_address)
    decide(session, county)
    assert titles(session) == ["又一锅油"]
    assert (first.state, first.title) == (V.REPLACED, "新油坊的第一锅油")
    assert published_version(session, first.story) is second


@pytest.mark.parametrize(("decision", "state"), [(Decision.RETURN, V.DRAFT), (Decision.REJECT, V.REFUSED)])
def test_what_is_returned_or_refused_says_why_and_leaves_the_published_one(
    session, files, cooperative, county, decision, state
):
    first = publish(session, files, cooperative, county)
    second = submit(session, files, cooperative, story=first.story, title="又一锅油")
    decide(session, county, decision, "照片里有门牌，请换一张")
    assert (second.state, second.answer) == (state, "照片里有门牌，请换一张")
    assert titles(session) == ["新油坊的第一锅油"]
    again = submit(session, files, cooperative, story=first.story, title="又一锅油", picture=jpeg(10))
    assert again.version == (2 if decision is Decision.RETURN else 3)
    decide(session, county)
    assert titles(session) == ["又一锅油"]


def test_a_cooperative_takes_its_story_down_and_shows_it_again(session, files, cooperative, county):
    story = publish(session, files, cooperative, county).story
    withdraw_story(session, actor_at(cooperative), story)
    assert titles(session) == []
    with pytest.raises(NotFound):
        shown_story(session, story.public_no)
    with pytest.raises(Conflict):
        withdraw_story(session, actor_at(cooperative), story)
    show_story_again(session, actor_at(cooperative), story)
    assert titles(session) == ["新油坊的第一锅油"]


def test_a_version_that_passes_after_the_story_was_taken_down_leaves_it_down(
    session, files, cooperative, county, clock
):
    story = publish(session, files, cooperative, county).story
    submit(session, files, cooperative, story=story, title="又一锅油")
    clock.advance(hours=1)
    withdraw_story(session, actor_at(cooperative), story)
    decide(session, county)
    assert (story.state, titles(session)) == (S.WITHDRAWN, [])
    show_story_again(session, actor_at(cooperative), story)
    assert titles(session) == ["又一锅油"]


def test_the_county_takes_a_story_down_with_a_reason(session, files, cooperative, county):
    story = publish(session, files, cooperative, county).story
    before = rows(session)
    for reason, code in (("  ", "reason_missing"), (f"写了 {ID_NUMBER}", "personal_number_in_public_text")):
        with pytest.raises(DomainError) as refused:
            remove_story(session, county, story, reason=reason)
        assert refused.value.code == code
    for stranger in (VISITOR, actor_at(cooperative)):
        with pytest.raises(Forbidden):
            remove_story(session, stranger, story, reason="不实")
    elsewhere = actor_of(official_with(Role.COUNTY_REVIEWER, "360781"))
    with pytest.raises(NotFound):
        remove_story(session, elsewhere, story, reason="不实")
    assert (story.state, story.reason, rows(session)) == (S.SHOWN, "", before)
    remove_story(session, county, story, reason="照片不是本社的")
    assert (story.state, story.reason, titles(session)) == (S.REMOVED, "照片不是本社的", [])
    with pytest.raises(Conflict):
        show_story_again(session, actor_at(cooperative), story)
    publish(session, files, cooperative, county, story=story, picture=jpeg(10))
    assert (story.state, story.reason) == (S.SHOWN, "")


def test_a_story_goes_with_its_cooperative(session, files, cooperative, county):
    publish(session, files, cooperative, county)
    cooperative.state = CooperativeState.SUSPENDED
    session.flush()
    assert titles(session) == []


def test_the_story_of_another_cooperative_is_not_found(session, files, cooperative, county):
    version = publish(session, files, cooperative, county)
    other = actor_at(CooperativeFactory())
    before = rows(session)
    for attempt in (
        lambda: own_story(session, other, version.story.public_no),
        lambda: save_story(session, other, files, story=version.story, title="我的", text=TEXT),
        lambda: submit_story(session, other, version),
        lambda: withdraw_story(session, other, version.story),
        lambda: show_story_again(session, other, version.story),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert (version.story.state, rows(session)) == (S.SHOWN, before)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "draft", "title": ""},
        {"state": "published", "submitted_at": None},
        {"state": "published", "large_address": "", "small_address": ""},
        {"small_address": ""},
    ],
)
def test_the_database_holds_versions_to_it_too(session, files, cooperative, county, changes):
    version = publish(session, files, cooperative, county)
    with pytest.raises(IntegrityError):
        session.execute(update(StoryVersion).where(StoryVersion.id == version.id).values(**changes))
    session.rollback()


def test_the_database_holds_one_open_version_two_people_and_a_reason(session, files, cooperative, county):
    version = publish(session, files, cooperative, county)
    submit(session, files, cooperative, story=version.story, title="又一锅油")
    session.commit()
    further = {"story_id": version.story_id, "version": 9, "title": "三", "text": "", "answer": ""}
    pictures = {"large_address": "", "small_address": "", "alt_text": ""}
    for wrong in (
        insert(StoryVersion).values(**further, **pictures, state="draft"),
        update(StoryVersion).values(decided_by=StoryVersion.submitted_by),
        update(StoryVersion).values(state="published"),
        update(Story).values(state="removed"),
        update(Story).values(published_at=None),
    ):
        with pytest.raises(IntegrityError):
            session.execute(wrong)
        session.rollback()


def test_a_story_that_is_sent_twice_is_one(session, files, cooperative):
    key = "the-form-of-one-story"
    first = submit_story(
        session, actor_at(cooperative), save(session, files, cooperative, idempotency_key=key)
    )
    again = save(session, files, cooperative, title="又一次", idempotency_key=key)
    assert (again.id, again.title, again.state) == (first.id, "新油坊的第一锅油", V.WAITING)
    assert session.scalar(select(func.count()).select_from(Story)) == 1
