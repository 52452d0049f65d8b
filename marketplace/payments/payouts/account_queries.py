"""Reading household bank accounts: who may record whose, which one stands, which one the bank refused."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Select, exists, false, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.models import TrailEntry
from marketplace.identity.permissions import Permission
from marketplace.payments.payouts.models import (
    AccountSheet,
    FailKind,
    HouseholdBankAccount,
    Payout,
    PayoutState,
)
from marketplace.registry.models import Household
from marketplace.registry.queries import enrolled_households


def households_to_record(actor: Actor) -> Select[Household]:
    """The households whose account the actor may record.

    A cooperative records those enrolled with it, a village clerk or a county reviewer those of the place.
    """
    if actor.cooperative_id is not None:
        enrolled = enrolled_households(actor.cooperative_id)
        return enrolled if actor.can(Permission.ENROL_HOUSEHOLDS) else enrolled.where(false())
    query = select(Household).order_by(Household.village_code, Household.id)
    is_official = actor.can(Permission.VOUCH_FOR_HOUSEHOLDS) or actor.can(Permission.RECORD_STATUS)
    if not is_official or not actor.region_code:
        return query.where(false())
    return query.where(Household.village_code.startswith(actor.region_code, autoescape=True))


def household_to_record(session: Session, actor: Actor, household_no: str) -> Household:
    """One household whose account the actor may record. Raises NotFound."""
    household = session.scalar(households_to_record(actor).where(Household.public_no == household_no))
    if household is None:
        raise NotFound
    return household


def account_of(session: Session, household_id: int) -> HouseholdBankAccount | None:
    """The account a household is paid to now."""
    return accounts_of(session, [household_id]).get(household_id)


def accounts_of(session: Session, household_ids: Collection[int]) -> dict[int, HouseholdBankAccount]:
    """The standing accounts of these households."""
    query = select(HouseholdBankAccount).where(
        HouseholdBankAccount.household_id.in_(household_ids), HouseholdBankAccount.replaced_at.is_(None)
    )
    return {account.household_id: account for account in session.scalars(query)}


def account_history(session: Session, household_id: int) -> list[HouseholdBankAccount]:
    """Every account a household was ever paid to, the latest first; at most fifty."""
    query = select(HouseholdBankAccount).where(HouseholdBankAccount.household_id == household_id)
    return list(session.scalars(query.order_by(HouseholdBankAccount.id.desc()).limit(50)))


def is_refused_by_bank() -> ColumnElement[bool]:
    """Whether a payout to the HouseholdBankAccount of the outer statement failed because of the account."""
    return exists().where(
        Payout.account_id == HouseholdBankAccount.id,
        Payout.state == PayoutState.FAILED,
        Payout.fail_kind == FailKind.ACCOUNT,
    )


def last_failure(session: Session, account: HouseholdBankAccount) -> Payout | None:
    """The last payout to an account that failed."""
    query = select(Payout).where(Payout.account_id == account.id, Payout.state == PayoutState.FAILED)
    return session.scalar(query.order_by(Payout.id.desc()).limit(1))


def reveals_of(session: Session, household_id: int, *, limit: int = 20) -> list[TrailEntry]:
    """Who looked at an account number of the household's, when and why, the latest first."""
    rows = select(TrailEntry).where(
        TrailEntry.household_id == household_id, TrailEntry.action == "payments.reveal_account"
    )
    return list(session.scalars(rows.order_by(TrailEntry.id.desc()).limit(limit)))


def sheets_visible_to(actor: Actor) -> Select[AccountSheet]:
    """The account sheets of the actor's organisation, newest first."""
    query = select(AccountSheet).order_by(AccountSheet.id.desc())
    return query.where(AccountSheet.organisation_id == actor.organisation_id)


def sheet_by_no(session: Session, actor: Actor, sheet_no: str) -> AccountSheet:
    """An account sheet of the actor's organisation. Raises NotFound."""
    sheet = session.scalar(sheets_visible_to(actor).where(AccountSheet.public_no == sheet_no))
    if sheet is None:
        raise NotFound
    return sheet
