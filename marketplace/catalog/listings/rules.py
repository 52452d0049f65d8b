"""Editing a listing: a draft is kept, handed in, and shows at once unless something in it matters to buyers' trust.

What matters (title, words, pictures, the claim of a certificate, a price raised beyond the policy's percentage, a
smaller share for households, goods listed anew at a higher price) waits for somebody of the county.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from marketplace.catalog.listings.differences import content_of_edit, content_of_version
from marketplace.catalog.listings.matters import find_matters
from marketplace.catalog.listings.models import EditState, ListingEdit
from marketplace.catalog.listings.queries import hold_open_edit, new_pictures, open_edit
from marketplace.catalog.models import Certificate, Product, ProductPicture
from marketplace.catalog.queries import listing_of_product
from marketplace.catalog.rules import Said, check_said, publish_listing
from marketplace.core.clock import now
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import OrganisationKind, Role, User
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.linkage.models import Mechanism
from marketplace.registry.reviews.models import CaseState, ReviewCase, ReviewDecision, ReviewKind
from marketplace.registry.reviews.rules import open_review

MOST_TITLE, MOST_DESCRIPTION = 80, 2000


def _require_own(actor: Actor, product: Product) -> None:
    actor.require(Permission.MANAGE_LISTINGS)
    if actor.cooperative_id != product.cooperative_id:
        raise NotFound


def save_draft(
    session: Session,
    actor: Actor,
    product: Product,
    *,
    title: str,
    description: str,
    tiers: Sequence[tuple[int, int]],
    terms: Mapping[Mechanism, int],
    certificate: Certificate | None = None,
) -> ListingEdit:
    """Keep what a listing shall say, finished or not; the draft there is takes it up.

    `tiers` are (least quantity, fen), `terms` basis points. Raises Refused for words that are too long, Conflict while
    an edit of the product waits for the county.
    """
    _require_own(actor, product)
    if len(title) > MOST_TITLE or len(description) > MOST_DESCRIPTION:
        raise Refused("words_long", N_("标题最多 80 个字，介绍最多 2000 个字"), field="title")
    edit = hold_open_edit(session, product)
    if edit is not None and edit.state is EditState.WAITING:
        raise Conflict("edit_waits", N_("上一次修改正在县里核对，核对后才能再改"))
    listing = listing_of_product(session, product)
    if edit is None:
        edit = ListingEdit(product_id=product.id, cooperative_id=product.cooperative_id)
    edit.base_version_id = listing.current_version_id if listing else None
    edit.title, edit.description = title.strip(), description.strip()
    edit.tiers = [[least, price] for least, price in sorted(tiers)]
    edit.terms = {mechanism.value: rate for mechanism, rate in terms.items() if rate}
    edit.certificate_id = certificate.id if certificate else None
    edit.edited_by, edit.edited_at = actor.user_id, now()
    session.add(edit)
    session.flush()
    session.refresh(edit, ["certificate", "base_version", "product"])
    return edit


def ensure_draft(session: Session, actor: Actor, product: Product) -> ListingEdit | None:
    """The open edit of goods on sale, made from what they say now where there is none; None for goods never listed."""
    edit, listing = open_edit(session, product), listing_of_product(session, product)
    if edit is not None or listing is None or listing.current_version is None:
        return edit
    version = listing.current_version
    content = content_of_version(version)
    return save_draft(
        session,
        actor,
        product,
        title=content.title,
        description=content.description,
        tiers=content.tiers,
        terms=content.terms,
        certificate=version.certificate,
    )


def _hold_draft(session: Session, edit: ListingEdit) -> None:
    """Read the edit anew and hold it. Raises Conflict when it is no draft any more."""
    session.refresh(edit, with_for_update={"of": ListingEdit})
    if edit.state is not EditState.DRAFT:
        raise Conflict("no_draft", N_("这份草稿已经提交或放弃，请刷新后再看"))


def drop_draft(session: Session, actor: Actor, edit: ListingEdit) -> None:
    """Give a draft up; what is on sale stays as it is. Raises Conflict when it is no draft any more."""
    _require_own(actor, edit.product)
    _hold_draft(session, edit)
    edit.state = EditState.DROPPED
    session.execute(
        delete(ProductPicture).where(
            ProductPicture.product_id == edit.product_id, ProductPicture.waits.is_(True)
        )
    )
    session.flush()


def submit_draft(session: Session, actor: Actor, edit: ListingEdit) -> ListingEdit:
    """Hand a draft in. It is published at once, or waits for the county when something in it matters.

    Raises whatever publishing it would refuse, so that nothing waits that could not be published; Conflict when it is
    no draft.
    """
    _require_own(actor, edit.product)
    _hold_draft(session, edit)
    matters = find_matters(
        session,
        edit.product,
        edit.base_version,
        content_of_edit(edit),
        has_new_pictures=bool(new_pictures(session, edit.product)),
    )
    check_said(session, actor, edit.product, _said_by(edit))
    edit.matters = [matter.value for matter in matters]
    edit.submitted_by, edit.submitted_at = actor.user_id, now()
    edit.decided_by = edit.decided_at = None  # what was said of it before is about other words
    if not matters:
        _publish(session, actor, edit)
        return edit
    edit.state, edit.answer = EditState.WAITING, ""
    session.flush()
    open_review(
        session,
        actor,
        kind=ReviewKind.LISTING_CHANGE,
        subject_id=edit.id,
        title=f"{edit.product.name} {edit.product.specification}",
        region_code=edit.product.cooperative.county_code,
        cooperative_id=edit.cooperative_id,
    )
    record_trail(
        session,
        actor,
        "catalog.submit_edit",
        subject=("product", edit.product.public_no),
        edit=edit.public_no,
    )
    return edit


def apply_edit_outcome(session: Session, case: ReviewCase) -> None:
    """What the county's answer means for an edit: published, back to the cooperative as a draft, or refused, which
    takes its new pictures away. Raises whatever publishing refuses by now; then nothing is decided."""
    edit = session.get_one(ListingEdit, case.subject_id)
    decision = session.scalars(
        select(ReviewDecision)
        .where(ReviewDecision.case_id == case.id)
        .order_by(ReviewDecision.position.desc())
        .limit(1)
    ).one()
    edit.decided_by, edit.decided_at, edit.answer = decision.decided_by, now(), decision.comment
    if case.state is CaseState.PASSED:
        _publish(session, _as_handed_in(session, edit), edit)
    elif case.state is CaseState.RETURNED:
        edit.state = EditState.DRAFT
    else:
        edit.state = EditState.REFUSED
        waits = (ProductPicture.product_id == edit.product_id) & ProductPicture.waits.is_(True)
        session.execute(delete(ProductPicture).where(waits))
    session.flush()


def _as_handed_in(session: Session, edit: ListingEdit) -> Actor:
    """Who handed an edit in, with the duty that took: what somebody who has left since asked for is still asked for."""
    user = session.get_one(User, edit.submitted_by)
    return Actor(
        user_id=user.id,
        name=user.display_name,
        roles=frozenset({Role.COOPERATIVE_MANAGER}),
        organisation_id=edit.cooperative_id,
        organisation_kind=OrganisationKind.COOPERATIVE,
        region_code=edit.product.cooperative.county_code,
    )


def _publish(session: Session, actor: Actor, edit: ListingEdit) -> None:
    waits = (ProductPicture.product_id == edit.product_id) & ProductPicture.waits.is_(True)
    session.execute(update(ProductPicture).where(waits).values(waits=False))
    session.expire(edit.product, ["pictures"])
    said = _said_by(edit)
    publish_listing(session, actor, product=edit.product, edit=edit, **vars(said))


def _said_by(edit: ListingEdit) -> Said:
    content = content_of_edit(edit)
    return Said(content.title, content.description, content.tiers, content.terms, edit.certificate)
