"""What people type to sign in, register and manage their account."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    DateField,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import EqualTo, InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

REQUIRED = InputRequired(_l("请填写这一项"))


class SignInForm(FlaskForm):
    """Login name and password; `next` is where to go on to."""

    login_name = StringField(_l("登录名"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "username"})
    password = PasswordField(
        _l("密码"), [REQUIRED, Length(max=200)], render_kw={"autocomplete": "current-password"}
    )
    next = HiddenField()


class RegisterForm(FlaskForm):
    """A person opens an account: to buy, or to apply for a cooperative. `next` is where to go on to."""

    purpose = RadioField(
        _l("开通账号用来"),
        choices=[
            SelectChoice("buyer", _l("选购产品（干部职工个人）")),
            SelectChoice("cooperative", _l("为合作社申请入驻")),
        ],
        default="buyer",
    )
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
    next = HiddenField()


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


class RoleField(SelectMultipleField):
    """The duties of a person, as a list of boxes to tick."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class UserForm(FlaskForm):
    """A colleague to be: who they are and what they do."""

    display_name = StringField(_l("姓名"), [REQUIRED, Length(max=60)], render_kw={"autocomplete": "off"})
    login_name = StringField(_l("登录名"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "off"})
    roles = RoleField(_l("岗位"), [InputRequired(_l("请至少选择一个岗位"))])


class RolesForm(FlaskForm):
    """The duties of somebody who has an account."""

    roles = RoleField(_l("岗位"), [InputRequired(_l("请至少选择一个岗位"))])


class UserSearchForm(FlaskForm):
    """Finding an account."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    q = StringField(_l("姓名、登录名或单位"), [Length(max=60)])
    role = SelectField(_l("岗位"), [Optional()])


class TrailForm(FlaskForm):
    """Finding rows of the trail."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    person = StringField(_l("操作人"), [Length(max=60)])
    room = SelectField(_l("业务"), [Optional()])
    subject_no = StringField(_l("编号"), [Length(max=40)])
    from_on = DateField(_l("从"), [Optional()])
    until_on = DateField(_l("到"), [Optional()])
