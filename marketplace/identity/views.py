"""Signing in and out, registering, the account page, the language switch, own uploaded files, the trail.

The accounts of others are in `user_views`.
"""

from __future__ import annotations

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_user, logout_user
from wtforms.fields.choices import SelectChoice

from marketplace.core.errors import DomainError, NotFound
from marketplace.identity import queries, rules
from marketplace.identity.access import current_actor, current_passwords, public, requires, signed_in
from marketplace.identity.forms import PasswordForm, RegisterForm, SignInForm, TokenForm, TrailForm
from marketplace.identity.models import Role
from marketplace.identity.permissions import Permission
from marketplace.identity.trail_details import trail_detail
from marketplace.identity.trail_words import ROOMS, trail_words
from marketplace.web import scheme
from marketplace.web.addresses import own_path
from marketplace.web.downloads import download
from marketplace.web.forms import place_error
from marketplace.web.limits import limited_sign_in
from marketplace.web.locale import COOKIE, LOCALES
from marketplace.web.paging import page_of
from marketplace.web.transaction import current_session

bp = Blueprint("identity", __name__)
YEAR_SECONDS = 365 * 24 * 3600
HOME = "/"
DESK = "/desk"
APPLICATION = "/apply"


@bp.route("/sign-in", methods=["GET", "POST"])
@public
@limited_sign_in
def sign_in() -> ResponseReturnValue:
    """Sign in with login name and password."""
    form = SignInForm(next=request.args.get("next"))
    if form.validate_on_submit():
        try:
            user = rules.sign_in_user(
                current_session(),
                current_passwords(),
                login_name=form.login_name.data or "",
                password=form.password.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            login_user(user)
            return redirect(own_path(form.next.data, DESK))
    demo_accounts = current_app.extensions.get("demo_accounts")
    page = render_template(
        "identity/sign_in.html",
        form=form,
        demo_accounts=demo_accounts(current_session()) if demo_accounts else (),
    )
    return page, 422 if form.errors else 200


@bp.route("/register", methods=["GET", "POST"])
@public
@limited_sign_in
def register() -> ResponseReturnValue:
    """Open a personal account: to buy, or to apply for a cooperative (`?for=cooperative`)."""
    form = RegisterForm(next=request.args.get("next"), purpose=request.args.get("for") or "buyer")
    applies = form.purpose.data == "cooperative"
    if form.validate_on_submit():
        try:
            user = rules.register_user(
                current_session(),
                current_passwords(),
                login_name=form.login_name.data or "",
                display_name=form.display_name.data or "",
                password=form.password.data or "",
                roles=() if applies else (Role.STAFF_BUYER,),
            )
        except DomainError as error:
            place_error(form, error)
        else:
            login_user(user)
            flash(_("账号已开通，请填写合作社的申请") if applies else _("账号已开通，欢迎选购"), "success")
            return redirect(APPLICATION if applies else own_path(form.next.data, HOME))
    return render_template("identity/register.html", form=form), 422 if form.errors else 200


@bp.post("/sign-out")
@signed_in
def sign_out() -> ResponseReturnValue:
    """End this session."""
    logout_user()
    flash(_("您已退出登录"), "info")
    return redirect(HOME)


@bp.post("/language")
@public
def switch_language() -> ResponseReturnValue:
    """Choose the language, kept with the user or, for a visitor, in a cookie."""
    chosen = request.form.get("locale", "")
    if chosen not in LOCALES:
        raise NotFound
    if current_user.is_authenticated:
        current_user.locale = chosen
    response: Response = make_response(redirect(own_path(request.form.get("next"), HOME)))
    response.set_cookie(COOKIE, chosen, max_age=YEAR_SECONDS, samesite="Lax", httponly=True)
    return response


@bp.post("/scheme")
@public
def switch_scheme() -> ResponseReturnValue:
    """Choose light, dark or what the device says, kept in a cookie of this browser."""
    chosen = request.form.get("scheme", "")
    if chosen not in scheme.SCHEMES:
        raise NotFound
    response: Response = make_response(redirect(own_path(request.form.get("next"), HOME)))
    response.set_cookie(scheme.COOKIE, chosen, max_age=YEAR_SECONDS, samesite="Lax", httponly=True)
    return response


@bp.route("/account", methods=["GET", "POST"])
@signed_in
def account() -> ResponseReturnValue:
    """The own account: password and API tokens."""
    form = PasswordForm()
    if form.validate_on_submit():
        try:
            rules.change_password(
                current_session(),
                current_passwords(),
                current_user,
                current=form.current.data or "",
                password=form.password.data or "",
            )
        except DomainError as error:
            place_error(form, error)
        else:
            login_user(current_user._get_current_object())  # noqa: SLF001 - who listens gets the user, not the proxy
            flash(_("密码已更新，其他设备已退出登录"), "success")
            return redirect(request.path)
    tokens = queries.tokens_of(current_session(), current_user.id)
    page = render_template(
        "identity/account.html", form=form, token_form=TokenForm(formdata=None), tokens=tokens
    )
    return page, 422 if form.errors else 200


@bp.post("/account/tokens")
@signed_in
def issue_token() -> ResponseReturnValue:
    """Issue an API token; its secret is on the answering page and never again."""
    form, secret = TokenForm(), None
    if form.validate_on_submit():
        try:
            _token, secret = rules.issue_token(current_session(), current_actor(), name=form.name.data or "")
            form = TokenForm(formdata=None)
        except DomainError as error:
            place_error(form, error)
    tokens = queries.tokens_of(current_session(), current_user.id)
    page = render_template(
        "identity/account.html",
        form=PasswordForm(formdata=None),
        token_form=form,
        tokens=tokens,
        secret=secret,
    )
    return page, 422 if form.errors else 200


@bp.post("/account/tokens/<token_no>/revoke")
@signed_in
def revoke_token(token_no: str) -> ResponseReturnValue:
    """End a token."""
    rules.revoke_token(current_session(), current_actor(), token_no)
    flash(_("令牌已停用"), "success")
    return redirect("/account")


@bp.get("/files/<file_no>")
@signed_in
def stored_file(file_no: str) -> ResponseReturnValue:
    """Download a file of one's own organisation."""
    file = queries.own_file(current_session(), current_actor(), file_no)
    content = current_app.extensions["files"].read(file.address, sealed=file.sealed)
    return download(content, file.media_type, name=file.name)


@bp.get("/trail")
@requires(Permission.READ_TRAIL)
def trail() -> ResponseReturnValue:
    """Who did what: newest first, paged, to be narrowed down."""
    form = TrailForm(request.args)
    form.room.choices = [
        SelectChoice("", _("全部")),
        *(SelectChoice(code, _(words)) for code, words in ROOMS.items()),
    ]
    is_valid = form.validate()
    wanted = queries.TrailFilter(
        person=(form.person.data or "").strip(),
        action=f"{form.room.data}." if form.room.data in ROOMS else "",
        subject_no=form.subject_no.data or "",
        from_on=form.from_on.data,
        until_on=form.until_on.data,
    )
    page = page_of(current_session(), queries.trail_rows(current_actor(), wanted), size=50)
    phrases = {row.id: trail_detail(row.detail, _) for row in page.rows}
    shown = render_template("identity/trail.html", form=form, page=page, words=trail_words, phrases=phrases)
    return shown, 200 if is_valid else 422
