"""What may be done, and which role may do it: one enum and one table. Which rows is `visible_to` in the queries."""

from __future__ import annotations

from enum import StrEnum

from marketplace.identity.models import Role


class Permission(StrEnum):
    """Codes are scope:resource:action, sorted."""

    ANSWER_REVIEWS = "government:review:decide"
    APPROVE_ORDERS = "unit:order:approve"
    APPROVE_PAYOUTS = "linkage:payout:approve"
    BUY_PERSONALLY = "staff:order:place"
    CERTIFY_PURCHASES = "unit:certificate:issue"
    CHECK_RECOGNITIONS = "province:recognition:check"
    CLOSE_PERIODS = "cooperative:period:close"
    CORRECT_CREDITS = "linkage:correction:decide"
    ENROL_HOUSEHOLDS = "cooperative:household:enrol"
    FULFIL_ORDERS = "cooperative:order:fulfil"
    MANAGE_COOPERATIVE = "cooperative:profile:manage"
    MANAGE_LISTINGS = "cooperative:listing:manage"
    MANAGE_QUOTA_RULES = "platform:quota_rule:manage"
    MANAGE_REFERENCE_PRICES = "market:reference_price:manage"
    MANAGE_SEARCH = "platform:search:manage"
    MANAGE_USERS = "platform:user:manage"
    MATCH_BANK_LINES = "platform:statement:match"
    MEDIATE_DISPUTES = "government:dispute:mediate"
    ORDER_FOR_UNIT = "unit:order:place"
    PAY_FOR_UNIT = "unit:order:pay"
    PREPARE_PAYOUTS = "linkage:payout:prepare"
    READ_AUDIT = "audit:trace:read"
    READ_HOUSEHOLDS = "registry:household:read"
    READ_LEDGER = "ledger:entry:read"
    READ_OWN_INCOME = "household:income:read"
    READ_QUOTAS = "government:quota:read"
    READ_TRAIL = "audit:trail:read"
    RECEIVE_FOR_UNIT = "unit:order:receive"
    RECORD_EVIDENCE = "cooperative:evidence:record"
    RECORD_STATUS = "county:household_status:record"
    REVEAL_ID_NUMBERS = "registry:id_number:reveal"
    SUSPEND_CERTIFICATES = "government:certificate:suspend"
    VOUCH_FOR_HOUSEHOLDS = "village:enrolment:acknowledge"
    WAIVE_FEES = "government:fee:waive"


P, R = Permission, Role
COOPERATIVE_WORK = frozenset(
    {
        P.CLOSE_PERIODS,
        P.ENROL_HOUSEHOLDS,
        P.FULFIL_ORDERS,
        P.MANAGE_LISTINGS,
        P.PREPARE_PAYOUTS,
        P.READ_HOUSEHOLDS,
        P.READ_LEDGER,
        P.RECORD_EVIDENCE,
    }
)
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    R.COOPERATIVE_MANAGER: COOPERATIVE_WORK | {P.APPROVE_PAYOUTS, P.CORRECT_CREDITS, P.MANAGE_COOPERATIVE},
    R.COOPERATIVE_CLERK: COOPERATIVE_WORK,
    R.HOUSEHOLD: frozenset({P.READ_OWN_INCOME}),
    R.VILLAGE_REVIEWER: frozenset(
        {P.ANSWER_REVIEWS, P.READ_HOUSEHOLDS, P.REVEAL_ID_NUMBERS, P.VOUCH_FOR_HOUSEHOLDS}
    ),
    R.TOWNSHIP_REVIEWER: frozenset({P.ANSWER_REVIEWS, P.READ_HOUSEHOLDS, P.REVEAL_ID_NUMBERS}),
    R.COUNTY_REVIEWER: frozenset(
        {
            P.ANSWER_REVIEWS,
            P.APPROVE_PAYOUTS,
            P.CORRECT_CREDITS,
            P.MANAGE_REFERENCE_PRICES,
            P.MEDIATE_DISPUTES,
            P.PREPARE_PAYOUTS,
            P.READ_HOUSEHOLDS,
            P.READ_QUOTAS,
            P.RECORD_STATUS,
            P.REVEAL_ID_NUMBERS,
            P.SUSPEND_CERTIFICATES,
            P.WAIVE_FEES,
        }
    ),
    R.UNIT_ORDERER: frozenset({P.CERTIFY_PURCHASES, P.ORDER_FOR_UNIT}),
    R.UNIT_APPROVER: frozenset({P.APPROVE_ORDERS, P.CERTIFY_PURCHASES}),
    R.UNIT_RECEIVER: frozenset({P.RECEIVE_FOR_UNIT}),
    R.UNIT_PAYER: frozenset({P.CERTIFY_PURCHASES, P.PAY_FOR_UNIT}),
    R.STAFF_BUYER: frozenset({P.BUY_PERSONALLY}),
    R.AUDITOR: frozenset(
        {P.READ_AUDIT, P.READ_HOUSEHOLDS, P.READ_LEDGER, P.READ_QUOTAS, P.READ_TRAIL, P.REVEAL_ID_NUMBERS}
    ),
    R.SUPERVISOR: frozenset(
        {P.CHECK_RECOGNITIONS, P.MANAGE_QUOTA_RULES, P.READ_AUDIT, P.READ_QUOTAS, P.READ_TRAIL}
    ),
    R.OPERATOR: frozenset(
        {
            P.MANAGE_QUOTA_RULES,
            P.MANAGE_REFERENCE_PRICES,
            P.MANAGE_SEARCH,
            P.MANAGE_USERS,
            P.MATCH_BANK_LINES,
            P.READ_TRAIL,
        }
    ),
}
