"""The words people read for the codes of the trail. A code without words is shown as it is, so nothing is hidden.

The words of values repeat labels that the rooms above give to their own codes: this room may not import them, and the
trail outlives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.core.quantity import format_kg
from marketplace.identity.models import Role

ROOMS = {
    "identity": N_("账号"),
    "registry": N_("农户与单位"),
    "reviews": N_("审核与公示"),
    "linkage": N_("利益联结"),
    "catalog": N_("产品"),
    "ordering": N_("订单"),
    "payments": N_("付款与结算"),
    "ledger": N_("账本"),
    "audit": N_("核查"),
}
ACTIONS = {
    "identity.add_user": N_("为同事开通账号"),
    "identity.change_password": N_("修改密码"),
    "identity.change_roles": N_("调整岗位"),
    "identity.disable_user": N_("停用账号"),
    "identity.enable_user": N_("恢复账号"),
    "identity.issue_token": N_("生成接口令牌"),
    "identity.register": N_("开通账号"),
    "identity.reset_password": N_("重置密码"),
    "identity.revoke_token": N_("停用接口令牌"),
    "identity.sign_in": N_("登录"),
    "registry.acknowledge_enrolment": N_("确认加入合作社"),
    "registry.add_member": N_("登记成员"),
    "registry.apply_cooperative": N_("开始入驻申请"),
    "registry.change_application": N_("修改入驻申请"),
    "registry.change_buyer_unit": N_("修改采购单位"),
    "registry.change_profile": N_("修改合作社资料"),
    "registry.confirm_roster": N_("确认名册入库"),
    "registry.decline_enrolment": N_("不认可加入合作社"),
    "registry.end_enrolment": N_("退出合作社"),
    "registry.enrol": N_("提出吸收农户"),
    "registry.open_household_account": N_("为农户开通账号"),
    "registry.recheck_roster": N_("重新检查名册"),
    "registry.record_five_ones": N_("填写五个一"),
    "registry.record_status": N_("登记农户状态"),
    "registry.register_buyer_unit": N_("登记采购单位"),
    "registry.register_household": N_("登记农户"),
    "registry.register_office": N_("登记单位"),
    "registry.remove_member": N_("删去成员"),
    "registry.reopen_application": N_("重新申请入驻"),
    "registry.reveal_id_number": N_("查看身份证号"),
    "registry.take_roster": N_("名册入库"),
    "registry.upload_roster": N_("上传名册"),
    "registry.withdraw_enrolment": N_("撤回吸收农户"),
    "reviews.answer_objection": N_("答复异议"),
    "reviews.decide": N_("审核"),
    "reviews.object": N_("提出异议"),
    "reviews.open": N_("提交审核"),
    "reviews.set_steps": N_("设置审核步骤"),
    "linkage.adopt_resolution": N_("登记分红决议"),
    "linkage.amend_agreement": N_("变更协议"),
    "linkage.end_agreement": N_("终止协议"),
    "linkage.open_lot": N_("建立批次"),
    "linkage.open_period": N_("开设联结期"),
    "linkage.reassign_stake": N_("转让股份"),
    "linkage.record_advance": N_("登记预付款"),
    "linkage.record_grain_price": N_("登记稻谷价格"),
    "linkage.record_asset_rent": N_("登记资产租金"),
    "linkage.record_attendance": N_("登记考勤"),
    "linkage.record_parcel_year": N_("登记租金"),
    "linkage.record_weigh_slip": N_("登记过磅单"),
    "linkage.record_yield": N_("登记产量"),
    "linkage.sign_agreement": N_("签订协议"),
    "linkage.take_sheet": N_("入账一张登记表"),
    "linkage.upload_sheet": N_("上传登记表"),
    "catalog.add_product": N_("登记产品"),
    "catalog.apply_certificate": N_("申请登记证书"),
    "catalog.assign_lot": N_("产品对应批次"),
    "catalog.publish": N_("上架"),
    "catalog.withdraw": N_("下架"),
    "ordering.accept": N_("验收"),
    "ordering.approve": N_("审批通过"),
    "ordering.cancel": N_("买方取消"),
    "ordering.confirm": N_("合作社确认"),
    "ordering.decline": N_("合作社无法供货"),
    "ordering.expire": N_("超时未付款"),
    "ordering.pay": N_("付款到账"),
    "ordering.place": N_("下单"),
    "ordering.receive": N_("收货"),
    "ordering.reject": N_("审批不通过"),
    "ordering.ship": N_("发货"),
    "linkage.record_late_correction": N_("记录关账后的更正"),
    "payments.confirm_closing": N_("确认关账"),
    "payments.prepare_closing": N_("准备关账"),
    "payments.withdraw_closing": N_("撤回关账准备"),
    "payments.approve_payouts": N_("复核发放"),
    "payments.cancel_payouts": N_("撤销发放"),
    "payments.download_payouts": N_("下载银行文件"),
    "payments.prepare_payouts": N_("发放制单"),
    "payments.record_account": N_("登记收款账号"),
    "payments.reveal_account": N_("查看收款账号"),
    "payments.send_payouts": N_("生成银行文件"),
    "payments.take_account_sheet": N_("成批登记收款账号"),
    "payments.take_payout_result": N_("导入发放结果"),
    "payments.agree_refund": N_("同意退款"),
    "payments.ask": N_("开出付款单"),
    "payments.ask_refund": N_("申请退款"),
    "payments.decline_refund": N_("不同意退款"),
    "payments.import_statement": N_("导入银行流水"),
    "payments.issue_slip": N_("出具收入凭条"),
    "payments.received": N_("收到货款"),
    "payments.refund_failed": N_("退款没有退成"),
    "payments.refund_returned": N_("退款已退回"),
    "payments.resolve_line": N_("处理银行流水"),
    "payments.resolve_notice": N_("处理支付通知"),
    "payments.withdraw_slip": N_("作废收入凭条"),
}
SUBJECTS = {
    "agreement": N_("协议"),
    "api_token": N_("接口令牌"),
    "asset_rent_receipt": N_("资产租金收据"),
    "bank_line": N_("银行流水"),
    "bank_statement": N_("银行对账单"),
    "buyer_unit": N_("采购单位"),
    "certificate": N_("证书"),
    "cooperative": N_("合作社"),
    "enrolment": N_("农户加入"),
    "evidence": N_("证据"),
    "gateway_notice": N_("支付通知"),
    "household": N_("农户"),
    "household_member": N_("家庭成员"),
    "income_slip": N_("收入凭条"),
    "linkage_period": N_("联结期"),
    "listing": N_("上架商品"),
    "lot": N_("批次"),
    "order": N_("订单"),
    "order_line": N_("订单行"),
    "order_part": N_("分订单"),
    "organisation": N_("单位"),
    "account_sheet": N_("收款账号表"),
    "household_bank_account": N_("收款账号"),
    "payment": N_("付款单"),
    "payout_batch": N_("发放批次"),
    "refund": N_("退款单"),
    "product": N_("产品"),
    "region": N_("地方"),
    "review_case": N_("审核件"),
    "roster_import": N_("名册"),
    "user": N_("账号"),
}
KEYS = {
    "amount_fen": N_("金额"),
    "asset_no": N_("资产登记号"),
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
    "objection": N_("异议"),
    "parcel_no": N_("地块"),
    "persons": N_("人数"),
    "reason": N_("原因"),
    "receipt_no": N_("收据号"),
    "rent_fen": N_("租金"),
    "retained_fen": N_("村集体留存"),
    "role": N_("角色"),
    "roles": N_("岗位"),
    "slip_no": N_("单号"),
    "starts_on": N_("从"),
    "status": N_("状态"),
    "step": N_("步骤"),
    "steps": N_("步骤数"),
    "total_fen": N_("金额"),
    "valid_from": N_("起始日期"),
    "valid_to": N_("截止日期"),
    "verdict": N_("核实结论"),
    "version": N_("版本"),
    "vouched": N_("村里代为确认"),
    "worked_on": N_("出工日期"),
}
VALUES = {
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


def trail_words(code: str) -> str:
    """The Chinese source string for an action ("room.verb") or a kind of subject; the code itself without words."""
    return ACTIONS.get(code) or SUBJECTS.get(code) or code


def trail_detail(detail: Mapping[str, object], translate: Callable[[str], str]) -> list[str]:
    """The detail of a row as short phrases such as "结论：通过"; money in yuan, mass in kilograms; nothing for None."""
    phrases = []
    for key, value in detail.items():
        if value is None or value == "":
            continue
        if key.endswith("_fen") and isinstance(value, int):
            text = f"¥{format_yuan(value)}"
        elif key.endswith("_g") and isinstance(value, int):
            text = f"{format_kg(value)} kg"
        else:
            text = " ".join(
                translate(VALUES[word]) if word in VALUES else word for word in str(value).split(" ")
            )
        phrases.append(
            translate(N_("%(name)s：%(value)s")) % {"name": translate(KEYS.get(key, key)), "value": text}
        )
    return phrases
