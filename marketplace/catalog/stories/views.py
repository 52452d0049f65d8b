"""Stories of cooperatives: the pages everybody reads, and those on which a cooperative writes them."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session
from wtforms.fields.choices import SelectChoice

from marketplace.catalog.models import Product
from marketplace.catalog.stories import queries, rules
from marketplace.catalog.stories.forms import RemovalForm, StoryForm
from marketplace.catalog.stories.models import Story, StoryVersion, VersionState
from marketplace.catalog.views.storefront import shown_listings
from marketplace.core.errors import DomainError, NotFound
from marketplace.identity.access import current_actor, public, requires
from marketplace.identity.permissions import Permission
from marketplace.registry.models import Cooperative
from marketplace.web.forms import place_error, tell
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("stories", __name__)
sells = requires(Permission.MANAGE_LISTINGS)
PICTURE_SECONDS = 600  # short: a story that is taken down takes its picture with it


@bp.get("/stories")
@public
def index() -> ResponseReturnValue:
    """The stories that are shown, newest first."""
    return render_template(
        "catalog/stories/index.html", page=page_of(current_session(), queries.shown_versions(), size=12)
    )


@bp.get("/stories/<story_no>")
@public
def story(story_no: str) -> ResponseReturnValue:
    """One story, with the goods it is about."""
    return _story_page(queries.shown_story(current_session(), story_no), RemovalForm(formdata=None))


def _story_page(version: StoryVersion, form: RemovalForm) -> str:
    return render_template(
        "catalog/stories/story.html",
        version=version,
        shown=shown_listings(queries.listing_nos_of(current_session(), version)),
        may_remove=queries.may_remove(current_actor(), version.story),
        form=form,
    )


@bp.post("/stories/<story_no>/removed")
@requires(Permission.ANSWER_REVIEWS)
def remove(story_no: str) -> ResponseReturnValue:
    """The county takes a story down."""
    session, form = current_session(), RemovalForm()
    version = queries.shown_story(session, story_no)
    if form.validate_on_submit():
        try:
            rules.remove_story(session, current_actor(), version.story, reason=form.reason.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            flash(_("故事已撤下，合作社会看到原因"), "success")
            return redirect(url_for(".index"), 303)
    return _story_page(queries.shown_story(session, story_no), form), 422


@bp.get("/stories/<story_no>/pictures/<address>.webp")
@public
def picture(story_no: str, address: str) -> ResponseReturnValue:
    """A picture of a story; before it is shown, only for its cooperative and its reviewers."""
    if not queries.may_see_picture(current_session(), current_actor(), story_no, address):
        raise NotFound
    response: Response = send_file(
        current_app.extensions["files"].path_of(address), mimetype="image/webp", max_age=PICTURE_SECONDS
    )
    response.cache_control.private = True
    return response


def stories_section(session: Session, cooperative: Cooperative) -> tuple[str, dict[str, Any]]:
    """The part of a cooperative's public page: its newest stories."""
    found = queries.newest_stories(session, cooperative_id=cooperative.id)
    return "catalog/stories/_section.html", {"stories": found}


# --- written by the cooperative ---


@bp.get("/workshop/stories")
@sells
def own() -> ResponseReturnValue:
    """The cooperative's stories, and where each stands."""
    session = current_session()
    page = page_of(session, queries.stories_of(current_actor()))
    latest = queries.latest_versions(session, [one.id for one in page.rows])
    return render_template("catalog/stories/own.html", page=page, latest=latest)


@bp.route("/workshop/stories/new", methods=["GET", "POST"])
@sells
def new() -> ResponseReturnValue:
    """Write a story."""
    return _write(None)


@bp.route("/workshop/stories/<story_no>", methods=["GET", "POST"])
@sells
def edit(story_no: str) -> ResponseReturnValue:
    """One's own story: what it says, where it stands, and changing it."""
    return _write(queries.own_story(current_session(), current_actor(), story_no))


def _write(found: Story | None) -> ResponseReturnValue:
    session, actor = current_session(), current_actor()
    story_no = found.public_no if found else None
    versions = queries.versions_of(session, found) if found else []
    form, choices = _form(versions[0] if versions else None)
    if form.validate_on_submit():
        keeps = request.form.get("act") == "draft"
        try:
            version = _kept(found, form, choices)
            if not keeps and version.state is VersionState.DRAFT:
                rules.submit_story(session, actor, version)
        except DomainError as error:
            place_error(form, error)
            found = queries.own_story(session, actor, story_no) if story_no else None
            versions = queries.versions_of(session, found) if found else []
        else:
            flash(_("草稿已存好，还没有人看到") if keeps else _("已提交县里审核，通过后才会展示"), "success")
            return redirect(url_for(".edit", story_no=version.story.public_no), 303)
    page = render_template(
        "catalog/stories/write.html", story=found, versions=versions, form=form, waiting=VersionState.WAITING
    )
    return page, 422 if form.errors else 200


def _form(last: StoryVersion | None) -> tuple[StoryForm, dict[str, Product]]:
    """The form as the last version begins it, and the products to choose from by public number."""
    choices = {one.public_no: one for one in queries.products_to_name(current_session(), current_actor())}
    form = StoryForm(
        title=last.title if last else "",
        text=last.text if last else "",
        alt_text=last.alt_text if last else "",
        products=[product.public_no for product in last.products] if last else [],
    )
    form.products.choices = [
        SelectChoice(number, f"{one.name} · {one.specification}") for number, one in choices.items()
    ]
    return form, choices


def _kept(found: Story | None, form: StoryForm, choices: dict[str, Product]) -> StoryVersion:
    chosen = form.products.data or []
    if any(number not in choices for number in chosen):
        raise NotFound
    upload = form.picture.data
    return rules.save_story(
        current_session(),
        current_actor(),
        current_app.extensions["files"],
        story=found,
        idempotency_key=form.idempotency_key.data,
        title=form.title.data or "",
        text=form.text.data or "",
        products=[choices[number] for number in dict.fromkeys(chosen)],
        picture=upload.read() if upload and upload.filename else None,
        alt_text=form.alt_text.data or "",
    )


@bp.post("/workshop/stories/<story_no>/withdrawn")
@sells
def withdraw(story_no: str) -> ResponseReturnValue:
    """Take one's own story down."""
    session, actor = current_session(), current_actor()
    try:
        rules.withdraw_story(session, actor, queries.own_story(session, actor, story_no))
    except DomainError as error:
        tell(error)
    else:
        flash(_("故事已撤下，读者看不到了"), "success")
    return redirect(url_for(".edit", story_no=story_no), 303)


@bp.post("/workshop/stories/<story_no>/shown")
@sells
def show_again(story_no: str) -> ResponseReturnValue:
    """Show again what one has taken down."""
    session, actor = current_session(), current_actor()
    try:
        rules.show_story_again(session, actor, queries.own_story(session, actor, story_no))
    except DomainError as error:
        tell(error)
    else:
        flash(_("故事又可以看到了"), "success")
    return redirect(url_for(".edit", story_no=story_no), 303)
