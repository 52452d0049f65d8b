"""What may be done to a household's bank account: record or replace it, and look at its number for a reason.

The holder must be a person of the household, and an account belongs to one household: aid money that ends in somebody
else's account is the oldest abuse there is.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.crypto import DataKey
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.ids import public_no
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.payments.payouts.account_numbers import SHOWN, check_account_number
from marketplace.payments.payouts.account_queries import account_of, households_to_record, last_failure
from marketplace.payments.payouts.models import HouseholdBankAccount
from marketplace.registry.models import Household, HouseholdMember
from marketplace.registry.reviews.notices import has_personal_number

NUMBER_COLUMN = "household_bank_account.number"
MIN_REASON, MAX_REASON = 4, 300
_PLAIN = re.compile(r"[\w·（）() .-]+")


def record_account(
    session: Session,
    actor: Actor,
    data_key: DataKey,
    household: Household,
    *,
    account_number: str,
    holder_name: str,
    bank_name: str,
    valid_from: date,
) -> HouseholdBankAccount:
    """Record the account a household is paid to from the business day `valid_from`; an earlier one is replaced.

    For the cooperative that enrolled the household and the village or county it lives in. The number has 16 to 19
    digits with the Luhn check digit. Raises NotFound outside the actor's care, Refused for a bad number, a holder who
    is no person of the household, an account of another household, Conflict when nothing would change.
    """
    in_care = households_to_record(actor).where(Household.id == household.id)
    if session.scalar(in_care.with_only_columns(Household.id)) is None:
        raise NotFound
    number = check_account_number(account_number)
    holder, bank = plain_words(holder_name, "holder_name"), plain_words(bank_name, "bank_name")
    if valid_from > today():
        raise Refused("account_in_future", N_("启用日期不能晚于今天"), field="valid_from")
    _require_holder(session, household, holder)
    index = data_key.blind_index(number, column=NUMBER_COLUMN)
    _require_own(session, household, index)
    standing = account_of(session, household.id)
    if standing is not None:
        same = (standing.number_index, standing.holder_name, standing.bank_name) == (index, holder, bank)
        if same and last_failure(session, standing) is None:
            raise Conflict("account_known", N_("与现在的收款账号相同，不必重复登记"), field="account_number")
        standing.replaced_at = now()
        session.flush()
    account_no = public_no("BA")
    account = HouseholdBankAccount(
        public_no=account_no,
        household_id=household.id,
        number_sealed=data_key.seal(number, context=f"{NUMBER_COLUMN}:{account_no}"),
        number_index=index,
        last_four=number[-SHOWN:],
        holder_name=holder,
        bank_name=bank,
        valid_from=valid_from,
        recorded_by=actor.user_id,
    )
    session.add(account)
    session.flush()
    record_trail(
        session,
        actor,
        "payments.record_account",
        subject=("household_bank_account", account.public_no),
        household_id=household.id,
        county_code=household.county_code,
        replaced=standing is not None,
    )
    return account


def plain_words(text: str, field: str) -> str:
    """A name as a bank's file can hold it. Raises Refused for nothing, or for signs a spreadsheet would act on."""
    words = " ".join(unicodedata.normalize("NFKC", text).split())
    if not words:
        raise Refused("account_words_missing", N_("请填写这一项"), field=field)
    if not _PLAIN.fullmatch(words) or words[0] in "-. " or len(words) > 40:
        raise Refused(
            "account_words", N_("只能写汉字、字母、数字和间隔号，最多 40 个字，请核对"), field=field
        )
    return words


def _require_holder(session: Session, household: Household, holder: str) -> None:
    names = session.scalars(select(HouseholdMember.name).where(HouseholdMember.household_id == household.id))
    if holder not in {household.head_name, *names}:
        raise Refused(
            "holder_elsewhere",
            N_("开户人不是本户的人，收款账号须是本户成员本人的，请核对姓名"),
            field="holder_name",
        )


def _require_own(session: Session, household: Household, index: bytes) -> None:
    other = select(HouseholdBankAccount.id).where(
        HouseholdBankAccount.number_index == index,
        HouseholdBankAccount.replaced_at.is_(None),
        HouseholdBankAccount.household_id != household.id,
    )
    if session.scalar(other.limit(1)) is not None:
        raise Refused(
            "account_of_another",
            N_("这个账号已登记给另一户，一个账号只能收一户的钱，请核对"),
            field="account_number",
        )


def reveal_account(
    session: Session, actor: Actor, data_key: DataKey, account: HouseholdBankAccount, *, reason: str
) -> str:
    """The account number; who looked, when and why is kept in the trail.

    Raises Forbidden, or Refused without a reason that says something.
    """
    actor.require(Permission.REVEAL_ID_NUMBERS)
    words = " ".join(reason.split())
    if not MIN_REASON <= len(words) <= MAX_REASON:
        raise Refused(
            "reason_missing", N_("请写明原因，至少 %(least)s 个字"), field="reason", least=MIN_REASON
        )
    if has_personal_number(words):
        raise Refused("reason_personal", N_("原因里不要写身份证号或手机号"), field="reason")
    household = session.get_one(Household, account.household_id)
    record_trail(
        session,
        actor,
        "payments.reveal_account",
        subject=("household_bank_account", account.public_no),
        household_id=household.id,
        county_code=household.county_code,
        reason=words,
    )
    return number_of(data_key, account)


def number_of(data_key: DataKey, account: HouseholdBankAccount) -> str:
    """The account number, opened. For the bank's file and a logged reveal alone."""
    return data_key.open(account.number_sealed, context=f"{NUMBER_COLUMN}:{account.public_no}")
