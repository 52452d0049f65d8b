"""Settings, read from the environment once. Every field here is documented in README.md ("Settings").

Keys and passwords come only from the environment; on a developer's machine they are generated once into DATA_DIR.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

EMULATOR_FILE = "stripe_emulator.json"  # in DATA_DIR: what the stand-in for the card provider knows
ONLINE_METHODS = ("card", "alipay", "wechat_pay")


class Settings(BaseSettings):
    """One deployment. Field names are the environment variables, in lower case."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore")

    environment: Literal["development", "test", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    data_dir: Path = Path("var")
    database_url: str = ""
    search: Literal["auto", "whoosh", "postgresql"] = "auto"
    public_url: str = ""
    secret_key: str = ""
    data_key: str = ""
    stripe_api_key: str = ""
    stripe_api_base: str = ""
    stripe_webhook_secret: str = ""
    card_payments: bool = True
    card_methods: str = "card"
    card_collection: Literal["none", "platform"] = "none"
    bank_transfers: bool = True
    smtp_url: str = ""
    mail_from: str = "赣品助农 <noreply@localhost>"
    bank_payee: str = "赣品助农平台（演示）"
    bank_account_no: str = "0000 0000 0000 0000"
    bank_name: str = "演示银行南昌支行"
    login_limit: str = "20 per minute"
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    argon2_time_cost: int = Field(default=3, ge=1)
    argon2_memory_kib: int = Field(default=65_536, ge=8)

    def model_post_init(self, _context: object) -> None:
        """Fill what depends on other fields; refuse to start production with a missing key."""
        self.data_dir = self.data_dir.resolve()
        self.database_url = self.database_url or f"sqlite:///{self.data_dir / 'market.sqlite3'}"
        if self.database_url.startswith("postgresql://"):
            self.database_url = self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
        on_postgresql = self.database_url.startswith("postgresql")
        if self.search == "auto":
            self.search = "postgresql" if on_postgresql else "whoosh"
        if self.search == "postgresql" and not on_postgresql:
            raise ValueError("SEARCH=postgresql needs a DATABASE_URL that names a PostgreSQL database")
        self.public_url = (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
        unknown = set(self.online_methods) - set(ONLINE_METHODS)
        if unknown or not self.online_methods:
            raise ValueError(
                f"CARD_METHODS names one or more of {', '.join(ONLINE_METHODS)}, separated by commas"
            )
        self._require_a_way_to_pay()
        for name in ("secret_key", "data_key", "stripe_webhook_secret"):
            if getattr(self, name):
                continue
            if self.environment == "production":
                raise ValueError(f"{name.upper()} must be set in production")
            setattr(self, name, _kept_key(self.data_dir / "keys" / name))

    def _require_a_way_to_pay(self) -> None:
        """Refuse to start where nobody could pay: persons pay on line, units by bank transfer."""
        if not self.card_payments and not self.bank_transfers:
            raise ValueError(
                "CARD_PAYMENTS and BANK_TRANSFERS are both false, so nobody could pay: set one of them to true"
            )
        if self.environment == "production" and self.card_payments and not self.stripe_api_key:
            raise ValueError(
                "CARD_PAYMENTS needs STRIPE_API_KEY in production: set the key, or CARD_PAYMENTS=false"
            )

    @property
    def online_methods(self) -> tuple[str, ...]:
        """The means of paying on line in the order of CARD_METHODS."""
        return tuple(name.strip() for name in self.card_methods.split(",") if name.strip())


def _kept_key(path: Path) -> str:
    """The development key kept at `path`, made on first use: 32 random bytes in hexadecimal."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
