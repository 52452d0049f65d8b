"""What a cooperative's manager fills in, page by page."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from marketplace.registry.fields import check_bank_account, check_phone
from marketplace.registry.identifiers import check_cooperative_uscc
from marketplace.registry.models import MemberRole
from marketplace.registry.places.forms import PlaceForm
from marketplace.registry.validators import Checked

REQUIRED = InputRequired(_l("请填写这一项"))
STORY = Length(max=2000, message=_l("介绍最多 2000 个字"))


class FactsForm(PlaceForm):
    """The first page. The bank account is asked for once; later it may stay empty to keep the former."""

    name = StringField(
        _l("合作社全称"), [REQUIRED, Length(max=120)], render_kw={"autocomplete": "organization"}
    )
    uscc = StringField(
        _l("统一社会信用代码"),
        [REQUIRED, Length(max=40), Checked(check_cooperative_uscc)],
        render_kw={"autocapitalize": "characters", "spellcheck": "false", "autocomplete": "off"},
    )
    legal_person = StringField(
        _l("法定代表人"), [REQUIRED, Length(max=60)], render_kw={"autocomplete": "off"}
    )
    phone = StringField(
        _l("联系电话"),
        [REQUIRED, Length(max=30), Checked(check_phone)],
        render_kw={"inputmode": "tel", "autocomplete": "tel"},
    )
    bank_account = StringField(
        _l("对公银行账号"),
        [Length(max=60), Checked(check_bank_account)],
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    story = TextAreaField(_l("合作社介绍"), [STORY])


class MemberForm(FlaskForm):
    """One member by role."""

    role = RadioField(_l("角色"), [InputRequired(_l("请选择角色"))], choices=[])
    name = StringField(_l("姓名"), [REQUIRED, Length(max=60)], render_kw={"autocomplete": "off"})
    position = StringField(_l("职务"), [Length(max=60)], render_kw={"autocomplete": "off"})
    related_party = TextAreaField(_l("关联关系申报"), [Length(max=200, message=_l("最多 200 个字"))])


class RemoveMemberForm(FlaskForm):
    """Which member to take off."""

    role = SelectField(choices=[SelectChoice(role.value) for role in MemberRole])
    name = StringField(validators=[InputRequired()])


class EvidenceForm(FlaskForm):
    """One item of the 五个一."""

    note = TextAreaField(_l("具体情况"), [REQUIRED, Length(max=300, message=_l("最多 300 个字"))])
    file = FileField(_l("证明材料"), render_kw={"accept": ".pdf,.jpg,.jpeg,.png"})


class SubmitForm(FlaskForm):
    """The applicant answers for what was entered."""

    confirmed = BooleanField(
        _l("以上内容真实，成员本人都知情并同意"), [InputRequired(_l("请确认内容真实、成员知情，再提交"))]
    )


class ProfileForm(FlaskForm):
    """What a cooperative may change at any time."""

    phone = StringField(
        _l("联系电话"),
        [REQUIRED, Length(max=30), Checked(check_phone)],
        render_kw={"inputmode": "tel", "autocomplete": "tel"},
    )
    story = TextAreaField(_l("合作社介绍"), [STORY])


class CountyForm(FlaskForm):
    """Narrowing the list of cooperatives down to a county."""

    class Meta:
        """A search changes nothing, so it carries no token."""

        csrf = False

    county = SelectField(_l("县（市、区）"), validate_choice=False)
