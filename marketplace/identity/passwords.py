"""Password hashes: argon2id. Verification takes as long for an unknown user as for a wrong password."""

from __future__ import annotations

from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

MIN_LENGTH = 10
MAX_LENGTH = 200


@dataclass(frozen=True)
class Passwords:
    """The hasher of a deployment; costs come from its settings."""

    hasher: PasswordHasher
    decoy: str

    @classmethod
    def with_costs(cls, time_cost: int, memory_kib: int) -> Passwords:
        """A hasher with argon2id at these costs."""
        hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        return cls(hasher, hasher.hash("a password nobody has"))

    def hash(self, password: str) -> str:
        """The hash to keep. Raises Refused when the password is too short, too long or one character repeated."""
        if len(password) < MIN_LENGTH or len(password) > MAX_LENGTH or len(set(password)) < 4:
            raise Refused(
                "weak_password",
                N_("密码至少 %(least)s 个字符，并且不能是简单重复的字符"),
                field="password",
                least=MIN_LENGTH,
            )
        return self.hasher.hash(password)

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one behind the hash `kept`; with None, takes the time and answers no."""
        try:
            return self.hasher.verify(kept or self.decoy, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False
