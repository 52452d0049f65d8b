"""A stake, the minutes of a general meeting, and passing a stake on, as people type them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    DateField,
    HiddenField,
    IntegerField,
    SelectChoice,
    SelectField,
    StringField,
    SubmitField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, Optional

from marketplace.core.clock import today
from marketplace.linkage.fields import PercentField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm
from marketplace.linkage.mechanisms.share_cooperation.decisions import Decision
from marketplace.linkage.mechanisms.share_cooperation.models import LEAST_PATRONAGE_BP, StakeSource

DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}
WHOLE = {"inputmode": "numeric", "autocomplete": "off"}
PEOPLE = InputRequired(_l("请填写人数"))


class StakeForm(AgreementForm):
    """A stake and its certificate."""

    certificate_no = StringField(
        _l("股权证号"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "off"}
    )
    stake_fen = YuanField(_l("入股金额"), [REQUIRED], render_kw=DECIMAL)
    source = SelectField(
        _l("股份来源"), choices=[SelectChoice(one.value, _l(one.label)) for one in StakeSource]
    )
    shares = IntegerField(_l("股数"), [Optional()], render_kw=WHOLE)

    def terms(self) -> dict[str, Any]:
        stated = {} if self.shares.data is None else {"shares": self.shares.data}
        return {
            "certificate_no": self.certificate_no.data,
            "stake_fen": self.stake_fen.data,
            "source": self.source.data,
            **stated,
        }


class ResolutionForm(FlaskForm):
    """What the minutes of a general meeting say. `digest` is that of the preview shown."""

    period_no = SelectField(_l("分哪个联结期的盈余"), [REQUIRED])
    resolution_no = StringField(_l("决议编号"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "off"})
    meeting_on = DateField(_l("开会日期"), [DAY], default=today)
    surplus_fen = YuanField(_l("可分配盈余"), [REQUIRED], render_kw=DECIMAL)
    patronage_bp = PercentField(_l("按交易量返还"), [REQUIRED], default=LEAST_PATRONAGE_BP, render_kw=DECIMAL)
    base_bp = PercentField(_l("保底分红率"), default=0, render_kw=DECIMAL)
    capital_fen = YuanField(_l("合作社总股本"), [REQUIRED], render_kw=DECIMAL)
    dealings_fen = YuanField(_l("全体成员交易额"), [REQUIRED], render_kw=DECIMAL)
    members_total = IntegerField(_l("成员总数"), [PEOPLE], render_kw=WHOLE)
    members_present = IntegerField(_l("到会人数"), [PEOPLE], render_kw=WHOLE)
    votes_for = IntegerField(_l("同意人数"), [PEOPLE], render_kw=WHOLE)
    file = FileField(_l("签字的决议扫描件"), render_kw=DOCUMENTS)
    digest = HiddenField()
    adopt = SubmitField(_l("核对无误，登记决议"))

    def decision(self) -> Decision:
        """The decision typed."""
        return Decision(
            resolution_no=(self.resolution_no.data or "").strip(),
            meeting_on=self.meeting_on.data,
            surplus_fen=self.surplus_fen.data or 0,
            patronage_bp=self.patronage_bp.data or 0,
            base_bp=self.base_bp.data or 0,
            capital_fen=self.capital_fen.data or 0,
            dealings_fen=self.dealings_fen.data or 0,
            members_total=self.members_total.data or 0,
            members_present=self.members_present.data or 0,
            votes_for=self.votes_for.data or 0,
        )


class ReassignForm(FlaskForm):
    """From when on, and why, a stake is another household's."""

    from_day = DateField(_l("从哪天起归新持有人"), [DAY], default=today)
    reason = TextAreaField(_l("转让原因"), [REQUIRED, Length(max=200)])
    file = FileField(_l("签字的转让协议"), render_kw=DOCUMENTS)
