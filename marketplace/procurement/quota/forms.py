"""What is typed about reserved quotas: the yearly filing, its decision, a shared canteen, a rule."""

from __future__ import annotations

from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from sqlalchemy.orm import Session
from wtforms import DateField, IntegerField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import HiddenInput

from marketplace.catalog.queries import category_tree
from marketplace.identity.actors import Actor
from marketplace.identity.forms import RoleField
from marketplace.identity.permissions import Permission
from marketplace.linkage.fields import PercentField, YuanField
from marketplace.linkage.forms import DOCUMENTS
from marketplace.procurement.quota.policy import places_of_rules
from marketplace.web.forms import OnceForm
from marketplace.web.locale import current_locale

REQUIRED = InputRequired(_l("请填写这一项"))
NUMBER = {"inputmode": "decimal", "autocomplete": "off"}


class FilingForm(OnceForm):
    """A unit's filing of a year."""

    year = IntegerField(_l("年份"), widget=HiddenInput())
    base_fen = YuanField(_l("全年食材采购总额"), [REQUIRED], render_kw=NUMBER)
    reserve_bp = PercentField(_l("预留比例"), [REQUIRED], render_kw=NUMBER)
    papers = MultipleFileField(_l("依据材料"), render_kw={**DOCUMENTS, "required": True})
    explanation = TextAreaField(_l("比去年减少的原因"), [Length(max=500)])
    amendment_reason = TextAreaField(_l("变更原因"), [Length(max=300)])
    contractor = StringField(_l("承包经营单位"), [Length(max=120)], render_kw={"autocomplete": "off"})


class ReturnForm(FlaskForm):
    """Why a filing goes back."""

    note = StringField(_l("退回原因"), [InputRequired(_l("请写明退回的原因")), Length(max=300)])


class SharingForm(FlaskForm):
    """Units that share one canteen."""

    name = StringField(_l("合用食堂名称"), [REQUIRED, Length(max=60)], render_kw={"autocomplete": "off"})
    credit_codes = TextAreaField(_l("其他单位的统一社会信用代码"), [REQUIRED, Length(max=1000)])
    representative_code = StringField(
        _l("代表单位的统一社会信用代码"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "off"}
    )


class RuleForm(FlaskForm):
    """What a place asks of its units in a year."""

    region_code = SelectField(_l("适用地区"), validate_choice=False)
    year = IntegerField(_l("年份"), [InputRequired(_l("请填写年份"))], render_kw={"inputmode": "numeric"})
    percent_bp = PercentField(_l("最低预留比例"), [REQUIRED], render_kw=NUMBER)
    filing_due_on = DateField(_l("申报截止日期"), [InputRequired(_l("请填写日期"))])
    category_codes = RoleField(_l("计入的品类"), validate_choice=False)
    scope_note = TextAreaField(_l("计入范围说明"), [Length(max=300)])
    basis = StringField(_l("依据文件"), [REQUIRED, Length(max=200)])
    reason = StringField(_l("设置原因"), [REQUIRED, Length(max=300)])

    def offer(self, session: Session, actor: Actor) -> None:
        """Fill the lists: the places the actor sets rules for, and the families of goods."""
        places = places_of_rules(session, actor)
        self.region_code.choices = [SelectChoice(one.code, one.full_name or one.name) for one in places]
        if actor.can(Permission.MANAGE_USERS):
            self.region_code.choices.insert(0, SelectChoice("", _("全国")))
        in_english = current_locale() == "en"
        self.category_codes.choices = [
            SelectChoice(one.code, one.name_en if in_english else one.name_zh)
            for one in category_tree(session)
            if one.path.count("/") == 1
        ]
