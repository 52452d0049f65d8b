"""The accounts a visitor signs in with: one for each role, two where two people are needed, under one password.

The password stands here and nowhere else; what is kept in the database is its hash.
"""

from __future__ import annotations

from dataclasses import dataclass

from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role, User
from marketplace.identity.passwords import Passwords

PASSWORD = "demo-2026-market"  # noqa: S105 - public on purpose: the demo refuses to load in production
ACCOUNTS: dict[str, Role] = {
    "coop": Role.COOPERATIVE_MANAGER,
    "clerk": Role.COOPERATIVE_CLERK,
    "household": Role.HOUSEHOLD,
    "village": Role.VILLAGE_REVIEWER,
    "township": Role.TOWNSHIP_REVIEWER,
    "county": Role.COUNTY_REVIEWER,
    "county2": Role.COUNTY_REVIEWER,
    "orderer": Role.UNIT_ORDERER,
    "approver": Role.UNIT_APPROVER,
    "receiver": Role.UNIT_RECEIVER,
    "payer": Role.UNIT_PAYER,
    "staff": Role.STAFF_BUYER,
    "auditor": Role.AUDITOR,
    "supervisor": Role.SUPERVISOR,
    "operator": Role.OPERATOR,
    "operator2": Role.OPERATOR,
}


@dataclass(frozen=True)
class DemoAccount:
    """An account to sign in with: `who` is its role (a Chinese source string), `at` its organisation's name."""

    login_name: str
    who: str
    name: str
    at: str
    password: str = PASSWORD


def demo_accounts(session: Session) -> list[DemoAccount]:
    """The ready accounts of a loaded demo, one a role; none where no demo was loaded."""
    found = {
        user.login_name: user for user in session.scalars(select(User).where(User.login_name.in_(ACCOUNTS)))
    }
    return [
        DemoAccount(login_name, role.label, found[login_name].display_name, _body_of(found[login_name]))
        for login_name, role in ACCOUNTS.items()
        if login_name in found
    ]


def _body_of(user: User) -> str:
    return user.organisation.name if user.organisation else ""


class _OneHash(PasswordHasher):
    """Hashes each password once: a few hundred accounts of the demo share one password, and so its hash."""

    def __init__(self, like: PasswordHasher) -> None:
        super().__init__(time_cost=like.time_cost, memory_cost=like.memory_cost, parallelism=like.parallelism)
        self._kept: dict[str | bytes, str] = {}

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        if password not in self._kept:
            self._kept[password] = super().hash(password, salt=salt)
        return self._kept[password]


def shared_hashes(passwords: Passwords) -> Passwords:
    """A hasher at the same costs that hashes the demo's password once."""
    return Passwords(_OneHash(passwords.hasher), passwords.decoy)
