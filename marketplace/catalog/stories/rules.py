"""Stories: a draft is kept, handed in, reviewed by the county and then shown; what is shown changes by a new version.

Stories are for everybody to read, so anything that looks like a personal number is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Product
from marketplace.catalog.pictures import prepare_picture
from marketplace.catalog.stories.models import Story, StoryState, StoryVersion, VersionState
from marketplace.catalog.stories.queries import (
    last_version_of_key,
    may_remove,
    open_version,
    published_version,
)
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.cooperatives.queries import admitted_cooperative_of
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewKind
from marketplace.registry.reviews.notices import public_reason, refuse_personal_numbers
from marketplace.registry.reviews.queries import last_decision_of
from marketplace.registry.reviews.rules import open_review

MOST_TITLE, LEAST_TEXT, MOST_TEXT, MOST_ALT = 60, 30, 3000, 120
MOST_PRODUCTS = 6


def _require_own(actor: Actor, story: Story) -> None:
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != story.cooperative_id:
        raise NotFound


def save_story(
    session: Session,
    actor: Actor,
    files: FileStore,
    *,
    title: str,
    text: str,
    story: Story | None = None,
    products: Sequence[Product] = (),
    picture: bytes | None = None,
    alt_text: str = "",
    idempotency_key: str | None = None,
) -> StoryVersion:
    """Keep what a story shall say, finished or not, as its draft; a new story when none is given, under a repeated key
    the one it made at first, left as it is.

    Without a new `picture` the one before stays. Raises Refused naming the field for a missing title, words that are
    too long or hold a personal number, too many products or a picture that is none; Conflict while a version waits.
    """
    actor.require(Permission.MANAGE_LISTINGS)
    cooperative = admitted_cooperative_of(session, actor)
    if story is not None:
        _require_own(actor, story)
    elif idempotency_key and (first := last_version_of_key(session, cooperative.id, idempotency_key)):
        return first
    words = {"title": title.strip(), "text": _lines(text), "alt_text": alt_text.strip()}
    _check_words(words)
    if len(products) > MOST_PRODUCTS:
        raise Refused("too_many_products", N_("最多选 %(most)s 个产品"), field="products", most=MOST_PRODUCTS)
    if any(product.cooperative_id != cooperative.id for product in products):
        raise NotFound
    if story is not None:
        session.refresh(story, attribute_names=["state"], with_for_update={"of": Story})
    draft = open_version(session, story) if story else None
    if draft is not None and draft.state is VersionState.WAITING:
        raise Conflict("story_waits", N_("这个故事正在县里审核，审核后才能再改"))
    prepared = prepare_picture(picture) if picture is not None else None
    if story is None:
        story = Story(cooperative_id=cooperative.id, idempotency_key=idempotency_key or None)
        session.add(story)
        session.flush()
    version = draft or _next_version(session, story)
    version.title, version.text, version.alt_text = words["title"], words["text"], words["alt_text"]
    if prepared is not None:
        version.large_address, version.small_address = files.put(prepared.large), files.put(prepared.small)
    version.products = list(products)
    version.edited_by, version.edited_at = actor.user_id, now()
    session.add(version)
    session.flush()
    return version


def _lines(text: str) -> str:
    """The text with one kind of line end, as a browser counts it."""
    return text.replace("\r\n", "\n").strip()


def _check_words(words: dict[str, str]) -> None:
    if not words["title"]:
        raise Refused("words_missing", N_("请填写这一项"), field="title")
    for field, most in (("title", MOST_TITLE), ("text", MOST_TEXT), ("alt_text", MOST_ALT)):
        if len(words[field]) > most:
            raise Refused("words_long", N_("这一项最多 %(most)s 个字"), field=field, most=most)
        refuse_personal_numbers(words[field], field=field)


def _next_version(session: Session, story: Story) -> StoryVersion:
    """A further version with the picture of the last one."""
    query = select(StoryVersion).where(StoryVersion.story_id == story.id)
    last = session.scalar(query.order_by(StoryVersion.version.desc()).limit(1))
    made = StoryVersion(story_id=story.id, version=last.version + 1 if last else 1)
    if last is not None:
        made.large_address, made.small_address = last.large_address, last.small_address
    return made


def submit_story(session: Session, actor: Actor, version: StoryVersion) -> StoryVersion:
    """Hand a draft in; nobody is shown it before the county has passed it.

    Raises Refused for a text that is too short or a missing picture, Conflict when it is no draft.
    """
    _require_own(actor, version.story)
    cooperative = admitted_cooperative_of(session, actor)
    session.refresh(version, attribute_names=["state"], with_for_update={"of": StoryVersion})
    if version.state is not VersionState.DRAFT:
        raise Conflict("no_draft", N_("这份草稿已经提交，请刷新后再看"))
    if len(version.text) < LEAST_TEXT:
        raise Refused("text_short", N_("正文至少写 %(least)s 个字"), field="text", least=LEAST_TEXT)
    if not version.large_address:
        raise Refused("picture_missing", N_("请选择一张图片"), field="picture")
    version.state, version.answer = VersionState.WAITING, ""
    version.submitted_by, version.submitted_at = actor.user_id, now()
    version.decided_by = version.decided_at = None
    session.flush()
    open_review(
        session,
        actor,
        kind=ReviewKind.STORY,
        subject_id=version.id,
        title=version.title,
        region_code=cooperative.county_code,
        cooperative_id=cooperative.id,
    )
    record_trail(
        session,
        actor,
        "catalog.submit_story",
        subject=("story", version.story.public_no),
        version=version.version,
    )
    return version


def apply_story_outcome(session: Session, case: ReviewCase) -> None:
    """What the county's answer means for a version: published in place of the one before, a draft again, or refused.

    A story that its cooperative took down meanwhile stays down.
    """
    version = session.get_one(StoryVersion, case.subject_id)
    decision = last_decision_of(session, case)
    if decision is not None:
        version.decided_by, version.answer = decision.decided_by, decision.comment
    version.decided_at = now()
    if case.state is CaseState.PASSED:
        _publish(session, version)
    else:
        is_returned = case.state is CaseState.RETURNED
        version.state = VersionState.DRAFT if is_returned else VersionState.REFUSED
    session.flush()


def _publish(session: Session, version: StoryVersion) -> None:
    story, before = version.story, published_version(session, version.story)
    if before is not None:
        before.state = VersionState.REPLACED
        session.flush()  # one published version at a time
    version.state = VersionState.PUBLISHED
    if story.state is StoryState.WITHDRAWN and _ended_since(story, version):
        return
    story.state, story.ended_at, story.reason = StoryState.SHOWN, None, ""
    story.published_at = story.published_at or now()


def _ended_since(story: Story, version: StoryVersion) -> bool:
    """Whether a story was taken down after a version of it was handed in."""
    return bool(story.ended_at and version.submitted_at and story.ended_at > version.submitted_at)


def withdraw_story(session: Session, actor: Actor, story: Story) -> Story:
    """The cooperative takes its story down. Raises Conflict when it is not shown."""
    _require_own(actor, story)
    _require_state(session, story, StoryState.SHOWN)
    story.state, story.ended_at = StoryState.WITHDRAWN, now()
    session.flush()
    record_trail(session, actor, "catalog.withdraw_story", subject=("story", story.public_no))
    return story


def show_story_again(session: Session, actor: Actor, story: Story) -> Story:
    """The cooperative shows again what it took down, as it was reviewed. Raises Conflict when it did not."""
    _require_own(actor, story)
    _require_state(session, story, StoryState.WITHDRAWN)
    story.state, story.ended_at = StoryState.SHOWN, None
    session.flush()
    record_trail(session, actor, "catalog.show_story", subject=("story", story.public_no))
    return story


def remove_story(session: Session, actor: Actor, story: Story, *, reason: str) -> Story:
    """The county takes a story down; the cooperative reads the reason.

    Raises NotFound outside the jurisdiction, Refused without a reason, Conflict when the story is not shown.
    """
    actor.require(Permission.ANSWER_REVIEWS)
    if not may_remove(actor, story):
        raise NotFound
    text = public_reason(reason)
    _require_state(session, story, StoryState.SHOWN)
    story.state, story.ended_at, story.reason = StoryState.REMOVED, now(), text
    session.flush()
    record_trail(
        session,
        actor,
        "catalog.remove_story",
        subject=("story", story.public_no),
        cooperative_id=story.cooperative_id,
        reason=text,
    )
    return story


def _require_state(session: Session, story: Story, wanted: StoryState) -> None:
    session.refresh(story, attribute_names=["state"], with_for_update={"of": Story})
    if story.state is not wanted:
        raise Conflict("story_state", N_("这个故事的状态已经变了，请刷新后再看"))
