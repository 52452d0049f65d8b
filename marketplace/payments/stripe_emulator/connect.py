"""Connected accounts: opened for a seller, filled in on a hosted page, looked at by the provider, ready or not.

An account goes through stages: `new` (details wanted), `submitted` (under review), `verified` (money may go to it),
`refused` and `past_due` (money may not). What the API shows of it follows from the stage alone.
"""

from __future__ import annotations

from marketplace.payments.stripe_emulator import params as read
from marketplace.payments.stripe_emulator.emulator import Emulator
from marketplace.payments.stripe_emulator.faults import Json, invalid
from marketplace.payments.stripe_emulator.listing import page_of
from marketplace.payments.stripe_emulator.store import new_id

TYPES = ("custom", "express", "standard")
BUSINESS_TYPES = ("company", "government_entity", "individual", "non_profit")
LINK_TYPES = ("account_onboarding", "account_update")
STAGES = ("new", "submitted", "verified", "refused", "past_due")
WANTED = ("business_profile.url", "external_account", "representative.first_name")
LINK_S = 300
REVIEW_S = 20


def create_account(emulator: Emulator, params: Json) -> Json:
    """POST /v1/accounts. Details are wanted before anything is active."""
    read.allow(
        params,
        *("type", "country", "email", "business_type", "business_profile", "capabilities", "metadata"),
    )
    profile = read.group(params, "business_profile")
    read.allow(profile, "name", "url", "product_description")
    account: Json = {
        "id": new_id("acct_"),
        "object": "account",
        "business_profile": {"name": read.text(profile, "name", limit=200)},
        "business_type": read.choice(params, "business_type", BUSINESS_TYPES),
        "capabilities": dict.fromkeys(read.group(params, "capabilities"), "inactive"),
        "country": read.text(params, "country", limit=2) or "HK",
        "created": emulator.now(),
        "default_currency": "cny",
        "email": read.text(params, "email"),
        "metadata": read.metadata(params),
        "type": read.choice(params, "type", TYPES, "standard"),
        "_balance": 0,
    }
    return enter_stage(emulator, account, "new")


def enter_stage(emulator: Emulator, account: Json, stage: str) -> Json:
    """The account is at `stage` now; the shop is told."""
    verified, seen = stage == "verified", stage != "new"
    due = list(WANTED) if stage == "new" else [WANTED[-1]] if stage == "past_due" else []
    account.update(
        _stage=stage,
        _verified_at=emulator.now() + REVIEW_S if stage == "submitted" else None,
        capabilities=dict.fromkeys(
            account["capabilities"],
            "active" if verified else "pending" if stage == "submitted" else "inactive",
        ),
        charges_enabled=verified,
        details_submitted=seen,
        payouts_enabled=verified,
        requirements={
            "currently_due": due,
            "current_deadline": None,
            "disabled_reason": _disabled_reason(stage),
            "errors": [],
            "eventually_due": due,
            "past_due": due if stage == "past_due" else [],
            "pending_verification": [WANTED[-1]] if stage == "submitted" else [],
        },
    )
    emulator.store.put("account", account)
    emulator.emit("account.updated", account)
    return account


def _disabled_reason(stage: str) -> str | None:
    return {
        "new": "requirements.past_due",
        "submitted": "requirements.pending_verification",
        "refused": "rejected.other",
        "past_due": "requirements.past_due",
    }.get(stage)


def verify_due(emulator: Emulator) -> None:
    """Reviews whose time is over end well."""
    for account in list(emulator.store.newest_first("account")):
        ends_at = account.get("_verified_at")
        if ends_at is not None and ends_at <= emulator.now():
            enter_stage(emulator, account, "verified")


def retrieve_account(emulator: Emulator, params: Json, key: str) -> Json:
    """GET /v1/accounts/<key>."""
    read.allow(params)
    return emulator.store.one("account", key, "account")


def search_accounts(emulator: Emulator, params: Json) -> Json:
    """GET /v1/accounts."""
    read.allow(params, "limit", "starting_after", "ending_before")
    return page_of(emulator, "account", params)


def create_link(emulator: Emulator, params: Json) -> Json:
    """POST /v1/account_links: a page on which the seller fills in what is wanted, open for five minutes, once."""
    read.allow(params, "account", "refresh_url", "return_url", "type")
    account = emulator.store.one("account", read.required(params, "account"), "account")
    if read.choice(params, "type", LINK_TYPES) is None:
        raise invalid("Missing required param: type.", param="type", code="parameter_missing")
    token = new_id("lnk_")
    link: Json = {
        "object": "account_link",
        "created": emulator.now(),
        "expires_at": emulator.now() + LINK_S,
        "url": f"{emulator.base_url}/c/onboarding/{token}",
    }
    kept = {
        **link,
        "id": token,
        "_account": account["id"],
        "_refresh_url": read.web_address(params, "refresh_url", needed=True),
        "_return_url": read.web_address(params, "return_url", needed=True),
        "_used": False,
    }
    emulator.store.put("account_link", kept)
    return link


def open_link(emulator: Emulator, token: str) -> Json | None:
    """The link under `token` while it may be used; None when there is none any more."""
    link = emulator.store.find("account_link", token)
    if link is None or link["_used"] or link["expires_at"] <= emulator.now():
        return None
    return link


def use_link(emulator: Emulator, link: Json, stage: str) -> Json:
    """The seller has handed in the details; the link opens nothing any more."""
    link["_used"] = True
    emulator.store.put("account_link", link)
    return enter_stage(emulator, emulator.store.one("account", link["_account"]), stage)
