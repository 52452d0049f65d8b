"""The words people read for the codes of the trail. A code without words is shown as it is, so nothing is hidden."""

from __future__ import annotations

from marketplace.core.labels import N_

ROOMS = {
    "identity": N_("账号"),
    "registry": N_("农户与单位"),
    "reviews": N_("审核与公示"),
    "linkage": N_("利益联结"),
    "catalog": N_("产品"),
    "ordering": N_("订单"),
    "procurement": N_("单位采购"),
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
    "reviews.answer_objection": N_("答复异议"),
    "reviews.decide": N_("审核"),
    "reviews.object": N_("提出异议"),
    "reviews.open": N_("提交审核"),
}
SUBJECTS = {
    "api_token": N_("接口令牌"),
    "review_case": N_("审核件"),
    "user": N_("账号"),
}


def trail_words(code: str) -> str:
    """The Chinese source string for an action ("room.verb") or a kind of subject; the code itself without words."""
    return ACTIONS.get(code) or SUBJECTS.get(code) or code
