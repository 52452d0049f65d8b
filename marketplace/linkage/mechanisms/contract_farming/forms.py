"""Terms of a contract, and a weigh slip, as people type them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional

from marketplace.core.clock import today
from marketplace.linkage.fields import KgField, PercentField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm
from marketplace.linkage.mechanisms.contract_farming.models import USUAL_GRADES

DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}


class ContractForm(AgreementForm):
    """A contract over one commodity."""

    commodity = StringField(_l("收购品种"), [REQUIRED, Length(max=60)], render_kw={"list": "commodities"})
    floor_price_fen_per_kg = YuanField(_l("保底价"), [REQUIRED], render_kw=DECIMAL)
    premium_fen_per_kg = YuanField(_l("加价"), render_kw=DECIMAL)
    guarantee_days = IntegerField(
        _l("保底兑付期限"), [InputRequired(_l("请填写天数"))], default=30, render_kw={"inputmode": "numeric"}
    )
    cap_bp = PercentField(_l("每次最多抵扣货款"), render_kw=DECIMAL)
    quota_g = KgField(_l("每年约定交货量"), render_kw=DECIMAL)
    bonus_share_bp = PercentField(_l("超量奖励"), render_kw=DECIMAL)

    @property
    def has_more(self) -> bool:
        """Whether one of the terms that few contracts have is filled in, or wrong."""
        return any(one.data or one.errors for one in (self.cap_bp, self.quota_g, self.bonus_share_bp))

    def terms(self) -> dict[str, Any]:
        return {
            "commodity": self.commodity.data,
            "floor_price_fen_per_kg": self.floor_price_fen_per_kg.data,
            "premium_fen_per_kg": self.premium_fen_per_kg.data or 0,
            "guarantee_days": self.guarantee_days.data,
            "cap_bp": self.cap_bp.data,
            "quota_g": self.quota_g.data,
            "bonus_share_bp": self.bonus_share_bp.data,
        }


class AdvanceForm(FlaskForm):
    """An advance, as its receipt says."""

    receipt_no = StringField(_l("收条号"), [REQUIRED, Length(max=40)], render_kw={"autocomplete": "off"})
    amount_fen = YuanField(_l("预付款"), [REQUIRED], render_kw=DECIMAL)
    given_on = DateField(_l("付款日期"), [DAY], default=today)
    file = FileField(_l("收条照片"), render_kw=DOCUMENTS)


class SlipForm(FlaskForm):
    """A weigh slip, as it lies beside the scales."""

    slip_no = StringField(
        _l("过磅单号"),
        [REQUIRED, Length(max=40)],
        render_kw={"autocomplete": "off", "autocapitalize": "characters"},
    )
    net_g = KgField(_l("净重"), [REQUIRED], render_kw=DECIMAL)
    grade = StringField(
        _l("等级"), [REQUIRED, Length(max=20)], default=USUAL_GRADES[0], render_kw={"list": "grades"}
    )
    market_price_fen_per_kg = YuanField(_l("当日市价"), [Optional()], render_kw=DECIMAL)
    weighed_on = DateField(_l("过磅日期"), [DAY], default=today)
    household_signer = StringField(_l("农户签字"), [REQUIRED, Length(max=60)])
    cooperative_signer = StringField(_l("合作社签字"), [REQUIRED, Length(max=60)])
    file = FileField(_l("过磅单照片"), render_kw=DOCUMENTS)


class QuickSlipForm(SlipForm):
    """The same, one after the other beside the scales: who, which number, how much; the rest as on the slip before."""

    agreement_no = SelectField(_l("谁来交货"), [InputRequired(_l("请选择交货的农户"))])
    household_signer = StringField(_l("农户签字"), [Optional(), Length(max=60)])
    file = FileField(_l("过磅单照片"), render_kw={"accept": "image/jpeg,image/png", "capture": "environment"})

    @property
    def has_more(self) -> bool:
        """Whether something that is usually as on the slip before is missing or wrong."""
        usual = (self.grade, self.market_price_fen_per_kg, self.weighed_on, self.cooperative_signer)
        return any(one.errors for one in usual) or not self.cooperative_signer.data
