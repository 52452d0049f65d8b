"""Terms of a trusteeship, and the yield of a season, as people type them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from marketplace.core.clock import today
from marketplace.linkage.fields import KgField, MuField, PercentField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm
from marketplace.linkage.mechanisms.production_trusteeship.models import HalfYear

DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}
WHOLE = {"inputmode": "numeric", "autocomplete": "off"}


class TrusteeshipForm(AgreementForm):
    """A trusteeship of plots of one crop."""

    commodity = StringField(_l("托管品种"), [REQUIRED, Length(max=60)])
    area_cmu = MuField(_l("托管面积"), [REQUIRED], render_kw=DECIMAL)
    fee_fen_per_mu = YuanField(_l("每季服务费"), [REQUIRED], render_kw=DECIMAL)
    subsidy_fen_per_mu = YuanField(_l("服务费补贴"), render_kw=DECIMAL)
    guaranteed_g_per_mu = KgField(_l("保底产量"), [REQUIRED], render_kw=DECIMAL)
    price_fen_per_kg = YuanField(_l("结算价"), [REQUIRED], render_kw=DECIMAL)
    bonus_share_bp = PercentField(_l("超产奖励"), render_kw=DECIMAL)
    due_days = IntegerField(_l("兑付期限"), [InputRequired(_l("请填写天数"))], default=30, render_kw=WHOLE)

    def terms(self) -> dict[str, Any]:
        return {
            "commodity": self.commodity.data,
            "area_cmu": self.area_cmu.data,
            "fee_fen_per_mu": self.fee_fen_per_mu.data,
            "subsidy_fen_per_mu": self.subsidy_fen_per_mu.data or 0,
            "guaranteed_g_per_mu": self.guaranteed_g_per_mu.data,
            "price_fen_per_kg": self.price_fen_per_kg.data,
            "bonus_share_bp": self.bonus_share_bp.data or 0,
            "due_days": self.due_days.data,
        }


class YieldForm(FlaskForm):
    """What the plots gave in one season."""

    year = IntegerField(_l("产季年份"), [InputRequired(_l("请填写年份"))], render_kw=WHOLE)
    half = SelectField(_l("产季"), [REQUIRED])
    actual_g = KgField(_l("实际产量"), [REQUIRED], render_kw=DECIMAL)
    recorded_on = DateField(_l("收获日期"), [DAY], default=today)
    lot_no = SelectField(_l("记进哪个批次"), [REQUIRED])
    file = FileField(_l("产量记录照片"), render_kw=DOCUMENTS)

    def season_half(self) -> HalfYear:
        """The half of the year chosen; the choices are the codes."""
        return HalfYear(self.half.data)
