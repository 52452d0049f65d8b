"""What people type to sign in, register and manage their account."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

REQUIRED = InputRequired(_l("请填写这一项"))


class SignInForm(FlaskForm):
    """Login name and password; `next` is where to go on to."""

    login_name = StringField(_l("登录名"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "username"})
    password = PasswordField(
        _l("密码"), [REQUIRED, Length(max=200)], render_kw={"autocomplete": "current-password"}
    )
    next = HiddenField()


class RegisterForm(FlaskForm):
    """A staff buyer opens a personal account."""

    display_name = StringField(_l("姓名"), [REQUIRED, Length(max=60)], render_kw={"autocomplete": "name"})
    login_name = StringField(_l("登录名"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "username"})
    password = PasswordField(
        _l("密码"), [REQUIRED, Length(max=200)], render_kw={"autocomplete": "new-password"}
    )
    repeated = PasswordField(
        _l("再输入一次密码"),
        [REQUIRED, EqualTo("password", _l("两次输入的密码不一致"))],
        render_kw={"autocomplete": "new-password"},
    )


class PasswordForm(FlaskForm):
    """A new password needs the current one."""

    current = PasswordField(
        _l("当前密码"), [REQUIRED, Length(max=200)], render_kw={"autocomplete": "current-password"}
    )
    password = PasswordField(
        _l("新密码"), [REQUIRED, Length(max=200)], render_kw={"autocomplete": "new-password"}
    )
    repeated = PasswordField(
        _l("再输入一次新密码"),
        [REQUIRED, EqualTo("password", _l("两次输入的密码不一致"))],
        render_kw={"autocomplete": "new-password"},
    )


class TokenForm(FlaskForm):
    """A token is named after the program that will use it."""

    name = StringField(_l("用途"), [REQUIRED, Length(max=60)])
