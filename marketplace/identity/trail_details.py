"""The words people read for the detail of a row of the trail: its keys, and codes among its values.

The words of values repeat labels that the rooms above give to their own codes: this room may not import them, and the
trail outlives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from marketplace.core.labels import N_
from marketplace.core.money import format_rate, format_yuan
from marketplace.core.quantity import format_kg
from marketplace.identity.models import Role
from marketplace.web.filters import day_or_text

KEYS = {
    "actual_g": N_("实际产量"),
    "agreement": N_("协议书"),
    "asked_fen": N_("申请减免"),
    "charge_fen": N_("服务费"),
    "closing": N_("关账"),
    "difference_fen": N_("相差"),
    "ended_on": N_("终止日期"),
    "enrolments": N_("新提出加入"),
    "fee_fen": N_("认证费用"),
    "format": N_("格式"),
    "from_agreement": N_("原协议"),
    "from_day": N_("从"),
    "from_on": N_("从"),
    "households": N_("户数"),
    "inspection_days": N_("验收期（工作日）"),
    "method": N_("付款方式"),
    "needs_certificates": N_("要求批次合格证"),
    "ordered_for": N_("下单人数"),
    "patronage_bp": N_("按交易量分配"),
    "people": N_("人数"),
    "person": N_("人员编号"),
    "price": N_("每千克（元）"),
    "resolution_no": N_("决议编号"),
    "result": N_("结果"),
    "season": N_("季节"),
    "size": N_("抽取个数"),
    "stakes": N_("股份笔数"),
    "surplus_fen": N_("可分配盈余"),
    "taken_fen": N_("冲销"),
    "top_up_fen": N_("保底补差"),
    "waived_fen": N_("批准减免"),
    "bad": N_("有问题的行"),
    "failed": N_("失败"),
    "paid": N_("到账"),
    "payouts": N_("笔数"),
    "replaced": N_("更换账号"),
    "unknown": N_("结果不明"),
    "above_bp": N_("高出参考价多少不能上架"),
    "amount_fen": N_("金额"),
    "approved": N_("通过"),
    "as_deputy": N_("受托代办"),
    "granted_fen": N_("预算金额"),
    "limit_fen": N_("审批限额"),
    "purpose": N_("预算科目"),
    "until_on": N_("到"),
    "year": N_("年度"),
    "base_fen": N_("食材采购总额"),
    "due_on": N_("申报截止日期"),
    "is_late": N_("逾期申报"),
    "members": N_("单位数"),
    "percent_bp": N_("预留比例"),
    "reserve_fen": N_("预留金额"),
    "asset_no": N_("资产登记号"),
    "day": N_("日期"),
    "decision": N_("结论"),
    "ends_on": N_("到"),
    "enrolled_on": N_("加入日期"),
    "item": N_("项目"),
    "kind": N_("类型"),
    "lines": N_("笔数"),
    "lot": N_("批次"),
    "lot_no": N_("批次"),
    "matched": N_("已对上"),
    "mechanism": N_("机制"),
    "net_g": N_("净重"),
    "note": N_("说明"),
    "number": N_("号码"),
    "objection": N_("异议"),
    "parcel_no": N_("地块"),
    "persons": N_("人数"),
    "edit": N_("商品修改"),
    "explanation": N_("说明"),
    "payout": N_("渠道提现"),
    "reason": N_("原因"),
    "receipt_no": N_("收据号"),
    "rent_fen": N_("租金"),
    "retained_fen": N_("村集体留存"),
    "role": N_("角色"),
    "roles": N_("岗位"),
    "region": N_("地方"),
    "roster": N_("名册"),
    "rows": N_("行数"),
    "slip_no": N_("单号"),
    "starts_on": N_("从"),
    "status": N_("状态"),
    "step": N_("步骤"),
    "steps": N_("步骤数"),
    "total_fen": N_("金额"),
    "unit_price_fen": N_("单价"),
    "valid_from": N_("起始日期"),
    "valid_to": N_("截止日期"),
    "verdict": N_("核实结论"),
    "version": N_("版本"),
    "vouched": N_("村里代为确认"),
    "worked_on": N_("出工日期"),
}
VALUES = {
    "audit_credits": N_("农户入账明细"),
    "audit_settlements": N_("已结算订单行"),
    "book_acceptances": N_("验收报告"),
    "book_orders": N_("订单簿"),
    "roster_marked": N_("标注好的名册"),
    "passed": N_("抽查合格"),
    "failed": N_("不合格"),
    "card": N_("在线支付"),
    "bank_transfer": N_("对公转账"),
    "voucher": N_("提货券"),
    "references": N_("参考价表"),
    "listings": N_("商品表"),
    "listing_change": N_("商品修改"),
    "price_explanation": N_("价格说明"),
    "product_recognition": N_("扶贫产品认定"),
    "story": N_("合作社故事"),
    "weigh_slips": N_("过磅单登记表"),
    "yields": N_("托管产量登记表"),
    "attendance": N_("考勤登记表"),
    "rents": N_("土地租金登记表"),
    "employment": N_("就业务工"),
    "production_trusteeship": N_("生产托管"),
    "share_cooperation": N_("股份合作"),
    "asset_lease": N_("资产租赁"),
    "pass": N_("通过"),
    "return": N_("退回补正"),
    "reject": N_("不予通过"),
    "upheld": N_("成立"),
    "dismissed": N_("不成立"),
    "leading_cadre": N_("村干部领办"),
    "capable_leader": N_("能人参与"),
    "party_member": N_("党员参与"),
    "villager": N_("村民参与"),
    "registered_household": N_("贫困户参与"),
    "leading_organisation": N_("一个合作组织"),
    "leading_industry": N_("一项主导产业"),
    "leading_person": N_("一名致富带头人"),
    "linkage_mechanism": N_("一套利益联结机制"),
    "support_team": N_("一支帮扶服务队伍"),
    "registered": N_("建档立卡贫困户"),
    "exited": N_("脱贫户"),
    "at_risk": N_("边缘易致贫户"),
    "ineligible": N_("不符合条件"),
    "contract_farming": N_("订单生产"),
    "land_transfer": N_("土地流转"),
    "office": N_("机关食堂"),
    "school": N_("学校食堂"),
    "hospital": N_("医院食堂"),
    "enterprise": N_("企事业单位食堂"),
    "cooperative_entry": N_("合作社准入"),
    "certificate": N_("认证证书"),
    "True": N_("是"),
    "False": N_("否"),
    **{role.value: role.label for role in Role},
}


def trail_detail(detail: Mapping[str, object], translate: Callable[[str], str]) -> list[str]:
    """The detail of a row as short phrases such as "结论：通过"; nothing for None."""
    return [
        translate(N_("%(name)s：%(value)s"))
        % {"name": translate(KEYS.get(key, key)), "value": _shown(key, value, translate)}
        for key, value in detail.items()
        if value is not None and value != ""
    ]


def _shown(key: str, value: object, translate: Callable[[str], str]) -> str:
    """A value as people read it: money in yuan, mass in kilograms, days as on every page, words for known codes."""
    if key.endswith("_fen") and isinstance(value, int):
        return f"¥{format_yuan(value)}"
    if key.endswith("_bp") and isinstance(value, int):
        return f"{format_rate(value)}%"
    if key.endswith("_g") and isinstance(value, int):
        return f"{format_kg(value)} {translate(N_('千克'))}"
    words = day_or_text(str(value)).split(" ")
    return " ".join(translate(VALUES[word]) if word in VALUES else word for word in words)
