"""Reading stories: what everybody is shown, what a cooperative has written, what the county looks at."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingState, Product
from marketplace.catalog.stories.models import Story, StoryState, StoryVersion, VersionState
from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.registry.reviews.models import ReviewCase

HOME_SIZE = 3
MOST_CHOICES = 200


def shown_versions(cooperative_id: int | None = None) -> Select[StoryVersion]:
    """The published versions of the stories that are shown, newest first; of one cooperative when it is given."""
    query = (
        select(StoryVersion)
        .join(Story, Story.id == StoryVersion.story_id)
        .join(Cooperative, Cooperative.id == Story.cooperative_id)
        .where(_is_shown())
        .order_by(Story.published_at.desc(), Story.id.desc())
    )
    return query if cooperative_id is None else query.where(Story.cooperative_id == cooperative_id)


def _is_shown() -> ColumnElement[bool]:
    return (
        (Story.state == StoryState.SHOWN)
        & (StoryVersion.state == VersionState.PUBLISHED)
        & (Cooperative.state == CooperativeState.ADMITTED)
    )


def newest_stories(
    session: Session, *, most: int = HOME_SIZE, cooperative_id: int | None = None
) -> list[StoryVersion]:
    """The newest stories that are shown, at most `most`."""
    return list(session.scalars(shown_versions(cooperative_id).limit(most)))


def shown_story(session: Session, story_no: str) -> StoryVersion:
    """What a story that is shown says. Raises NotFound."""
    found = session.scalar(shown_versions().where(Story.public_no == story_no))
    if found is None:
        raise NotFound
    return found


def listing_nos_of(session: Session, version: StoryVersion) -> tuple[str, ...]:
    """The public numbers of the listings on sale of the products a story is about."""
    query = (
        select(Listing.public_no)
        .where(
            Listing.product_id.in_([product.id for product in version.products]),
            Listing.state == ListingState.PUBLISHED,
        )
        .order_by(Listing.product_id)
    )
    return tuple(session.scalars(query))


# --- the cooperative's own ---


def stories_of(actor: Actor) -> Select[Story]:
    """The stories of the actor's cooperative, newest first."""
    return select(Story).where(Story.cooperative_id == (actor.cooperative_id or 0)).order_by(Story.id.desc())


def own_story(session: Session, actor: Actor, story_no: str) -> Story:
    """A story of the actor's cooperative. Raises NotFound."""
    found = session.scalar(stories_of(actor).where(Story.public_no == story_no))
    if found is None:
        raise NotFound
    return found


def latest_versions(session: Session, story_ids: list[int]) -> dict[int, StoryVersion]:
    """The newest version of each story, by story, in one statement."""
    query = select(StoryVersion).where(StoryVersion.story_id.in_(story_ids)).order_by(StoryVersion.version)
    return {version.story_id: version for version in session.scalars(query)}


def versions_of(session: Session, story: Story) -> list[StoryVersion]:
    """The versions of a story, newest first, at most a hundred."""
    query = select(StoryVersion).where(StoryVersion.story_id == story.id)
    return list(session.scalars(query.order_by(StoryVersion.version.desc()).limit(100)))


def open_version(session: Session, story: Story) -> StoryVersion | None:
    """The version that is a draft or waits for the county; None when there is neither."""
    return session.scalar(
        select(StoryVersion).where(
            StoryVersion.story_id == story.id,
            StoryVersion.state.in_((VersionState.DRAFT, VersionState.WAITING)),
        )
    )


def last_version_of_key(session: Session, cooperative_id: int, key: str) -> StoryVersion | None:
    """The newest version of the story a cooperative began under this key; None where it began none."""
    query = select(StoryVersion).join(Story, Story.id == StoryVersion.story_id)
    own = query.where(Story.cooperative_id == cooperative_id, Story.idempotency_key == key)
    return session.scalar(own.order_by(StoryVersion.id.desc()).limit(1))


def published_version(session: Session, story: Story) -> StoryVersion | None:
    """The version that passed last, whether or not the story is shown; None before the first."""
    return session.scalar(
        select(StoryVersion).where(
            StoryVersion.story_id == story.id, StoryVersion.state == VersionState.PUBLISHED
        )
    )


def products_to_name(session: Session, actor: Actor) -> list[Product]:
    """The products a cooperative may name in a story."""
    query = (
        select(Product)
        .where(Product.cooperative_id == (actor.cooperative_id or 0), Product.archived_at.is_(None))
        .order_by(Product.id.desc())
        .limit(MOST_CHOICES)
    )
    return list(session.scalars(query).unique())


# --- pictures and reviews ---


def may_see_picture(session: Session, actor: Actor, story_no: str, address: str) -> bool:
    """Whether the actor may see a picture of a story: of what is shown everybody, else its cooperative and those of the
    government whose place it is."""
    query = (
        select(StoryVersion.id)
        .join(Story, Story.id == StoryVersion.story_id)
        .join(Cooperative, Cooperative.id == Story.cooperative_id)
        .where(
            Story.public_no == story_no,
            or_(StoryVersion.large_address == address, StoryVersion.small_address == address),
        )
    )
    allowed = [_is_shown(), Story.cooperative_id == (actor.cooperative_id or 0)]
    if actor.can(Permission.ANSWER_REVIEWS) or actor.can(Permission.READ_AUDIT):
        allowed.append(Cooperative.village_code.startswith(actor.region_code or "", autoescape=True))
    return session.scalar(query.where(or_(*allowed)).limit(1)) is not None


def may_remove(actor: Actor, story: Story) -> bool:
    """Whether the actor reviews stories of the county the story is from, and does not belong to its cooperative."""
    return bool(
        actor.can(Permission.ANSWER_REVIEWS)
        and actor.region_code
        and story.cooperative.county_code.startswith(actor.region_code)
        and actor.cooperative_id != story.cooperative_id
    )


def story_subject(session: Session, case: ReviewCase) -> tuple[str, dict[str, Any]]:
    """What the county sees of a version: the template of the part, and its context."""
    version = session.get_one(StoryVersion, case.subject_id)
    published = published_version(session, version.story)
    context = {"version": version, "before": None if published is version else published}
    return "catalog/stories/_subject.html", context
