"""Reading edits and versions of listings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from marketplace.catalog.listings.differences import (
    Difference,
    content_of_edit,
    content_of_version,
    differences,
)
from marketplace.catalog.listings.models import EditState, ListingEdit, Matter
from marketplace.catalog.models import Listing, ListingVersion, Product, ProductPicture
from marketplace.catalog.prices.queries import check_of, stored_references
from marketplace.core.clock import today
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.registry.reviews.models import ReviewCase
from marketplace.web.tasks import Task

MOST_VERSIONS = 100


def open_edit(session: Session, product: Product) -> ListingEdit | None:
    """The draft of a product, or the edit of it that waits; None when there is neither."""
    return session.scalar(_open_edits(product))


def hold_open_edit(session: Session, product: Product) -> ListingEdit | None:
    """The same, held until the transaction ends: nobody hands it in, drops it or decides on it meanwhile."""
    held = _open_edits(product).with_for_update(of=ListingEdit)
    return session.scalar(held.execution_options(populate_existing=True))


def _open_edits(product: Product) -> Select[tuple[ListingEdit]]:
    return select(ListingEdit).where(
        ListingEdit.product_id == product.id,
        ListingEdit.state.in_((EditState.DRAFT, EditState.WAITING)),
    )


def last_refused(session: Session, product: Product) -> ListingEdit | None:
    """The product's newest edit when it was refused."""
    query = select(ListingEdit).where(ListingEdit.product_id == product.id)
    last = session.scalars(query.order_by(ListingEdit.id.desc()).limit(1)).first()
    return last if last is not None and last.state is EditState.REFUSED else None


def new_pictures(session: Session, product: Product) -> list[ProductPicture]:
    """The pictures of a product that nobody is shown yet."""
    query = select(ProductPicture).where(
        ProductPicture.product_id == product.id, ProductPicture.waits.is_(True)
    )
    return list(session.scalars(query.order_by(ProductPicture.position)))


def differences_of(edit: ListingEdit) -> list[Difference]:
    """What an edit changes against the version it was made from."""
    before = content_of_version(edit.base_version) if edit.base_version else None
    return differences(before, content_of_edit(edit))


@dataclass(frozen=True)
class VersionStep:
    """A version and what it changed against the one before; the first one changes everything."""

    version: ListingVersion
    changes: list[Difference]


def history_of(session: Session, listing: Listing) -> list[VersionStep]:
    """The versions of a listing, newest first, at most a hundred, each with what it changed."""
    query = (
        select(ListingVersion)
        .where(ListingVersion.listing_id == listing.id)
        .order_by(ListingVersion.version.desc())
        .limit(MOST_VERSIONS)
    )
    versions = list(session.scalars(query))
    contents = [content_of_version(version) for version in versions]
    return [
        VersionStep(
            version, differences(contents[place + 1] if place + 1 < len(contents) else None, contents[place])
        )
        for place, version in enumerate(versions)
    ]


def edit_subject(session: Session, case: ReviewCase) -> tuple[str, dict[str, Any]]:
    """What the county sees of an edit: the template of the part, and its context."""
    edit = session.get_one(ListingEdit, case.subject_id)
    product = edit.product
    context = {
        "edit": edit,
        "product": product,
        "changes": differences_of(edit),
        "matters": [Matter(code) for code in edit.matters],
        "pictures": new_pictures(session, product),
        "reference": stored_references(session, [product], today()).get(product.id),
        "check": check_of(session, edit.base_version_id) if edit.base_version_id else None,
    }
    return "catalog/listings/_edit.html", context


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """Drafts that a cooperative has not handed in, and edits the county sent back."""
    if not actor.can(Permission.MANAGE_LISTINGS) or actor.cooperative_id is None:
        return []
    query = (
        select(func.count())
        .select_from(ListingEdit)
        .where(ListingEdit.cooperative_id == actor.cooperative_id, ListingEdit.state == EditState.DRAFT)
    )
    count = session.scalar(query) or 0
    return [Task(NN_("%(count)s 份商品草稿还没有提交"), count, "workshop.products")] if count else []


def edits_of_products(session: Session, product_ids: list[int]) -> dict[int, ListingEdit]:
    """The draft or waiting edit of each product that has one."""
    query = select(ListingEdit).where(
        ListingEdit.product_id.in_(product_ids),
        ListingEdit.state.in_((EditState.DRAFT, EditState.WAITING)),
    )
    return {edit.product_id: edit for edit in session.scalars(query)}
