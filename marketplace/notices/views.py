"""The inbox, and one's wishes about it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from marketplace.core.errors import DomainError
from marketplace.identity.access import current_actor, public, signed_in
from marketplace.notices import queries, rules
from marketplace.notices.events import BY_NAME
from marketplace.notices.forms import EmailForm
from marketplace.notices.models import Message, NoticeCategory
from marketplace.notices.sending import title_of
from marketplace.web.forms import place_error
from marketplace.web.jobs import nudge
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("notices", __name__)


def unread_messages() -> int:
    """For the head of every page: how many messages of the reader are unread."""
    actor = current_actor()
    return queries.unread_count(current_session(), actor) if actor.user_id is not None else 0


bp.add_app_template_global(unread_messages, "unread_messages")
bp.add_app_template_global(title_of, "title_of_message")


@bp.get("/inbox")
@signed_in
def inbox() -> ResponseReturnValue:
    """Messages, newest first; `?show=unread` those unread."""
    only_unread = request.args.get("show") == "unread"
    page = page_of(current_session(), queries.messages_of(current_actor(), only_unread=only_unread))
    return render_template("notices/inbox.html", page=page, only_unread=only_unread)


@bp.get("/inbox/<number>")
@signed_in
def show(number: str) -> ResponseReturnValue:
    """Where e-mail leads: the message, with the one button that opens what it is about."""
    message = queries.message_by_no(current_session(), current_actor(), number)
    return render_template("notices/message.html", message=message)


@bp.post("/inbox/<number>")
@signed_in
def read(number: str) -> ResponseReturnValue:
    """Mark a message as read and go to what it is about."""
    session = current_session()
    message = rules.read_message(session, queries.message_by_no(session, current_actor(), number))
    return redirect(_target(message), 303)


def _target(message: Message) -> str:
    event = BY_NAME.get(message.event)
    if event is None:
        return url_for(".inbox")
    endpoint, name = event.link.value
    return url_for(endpoint, **{name: message.subject_no})


@bp.post("/inbox/read-all")
@signed_in
def read_all() -> ResponseReturnValue:
    """Mark everything as read."""
    rules.read_all(current_session(), current_actor())
    flash(_("全部标为已读"), "success")
    return redirect(url_for(".inbox"), 303)


@bp.route("/account/notices", methods=["GET", "POST"])
@signed_in
def settings() -> ResponseReturnValue:
    """Where e-mail goes, and which messages one wants."""
    session, actor = current_session(), current_actor()
    form = EmailForm()
    if form.validate_on_submit():
        try:
            kept = rules.name_email_address(session, actor, form.address.data or "")
        except DomainError as error:
            place_error(form, error)
        else:
            nudge("confirm e-mail addresses")
            if kept.confirmed_at is None:
                flash(_("确认邮件已发往 %(address)s，请打开里面的链接", address=kept.address), "success")
            return redirect(url_for(".settings"), 303)
    page = render_template(
        "notices/settings.html",
        form=form,
        email=queries.address_of(session, actor),
        wishes=queries.wishes_of(session, actor),
    )
    return page, 422 if form.errors else 200


@bp.post("/account/notices/choose")
@signed_in
def choose() -> ResponseReturnValue:
    """Keep the ticks."""
    wishes = {
        category: (f"inbox-{category.value}" in request.form, f"email-{category.value}" in request.form)
        for category in NoticeCategory
    }
    rules.choose_notices(current_session(), current_actor(), wishes)
    flash(_("通知设置已保存"), "success")
    return redirect(url_for(".settings"), 303)


@bp.post("/account/notices/forget-email")
@signed_in
def forget() -> ResponseReturnValue:
    """No e-mail any more."""
    rules.forget_email_address(current_session(), current_actor())
    flash(_("不再发邮件"), "success")
    return redirect(url_for(".settings"), 303)


@bp.route("/account/notices/confirm/<token>", methods=["GET", "POST"])
@public
def confirm(token: str) -> ResponseReturnValue:
    """Where the confirming link leads: a button, because mail programs open links by themselves."""
    if request.method == "POST":
        kept = rules.confirm_email_address(current_session(), token)
        return render_template("notices/confirmed.html", address=kept.address)
    return render_template("notices/confirm.html")
