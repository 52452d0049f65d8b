"""Accounts of cooperatives and transfers to them, through Stripe Connect.

The platform's charges stay on the platform's balance; a transfer moves a share of it to a connected account. The money
of a settled part has been available for days by then, so that transfers draw on the balance and name no charge. Each
carries our number in its metadata, by which it is found again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marketplace.payments.gateways.connect import AccountStatus, AccountTold, MoneyMoved, TransferRequest
from marketplace.payments.gateways.stripe_client import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S, stripe_client
from marketplace.payments.gateways.stripe_errors import instant_of, provider_errors
from marketplace.payments.gateways.stripe_events import CURRENCY

if TYPE_CHECKING:
    from stripe.params import AccountCreateParams, TransferCreateParams

LOST = ("rejected", "listed", "platform_paused")  # beginnings of reasons that no further detail mends
LONGEST_NAME = 100
PAGE = 100


class StripeCollector:
    """The provider of a platform that collects; see StripeGateway for the arguments.

    Every call may raise GatewayUnavailable (unknown outcome: the same again, under the same key) or GatewayRefused.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str = "",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = DEFAULT_RETRIES,
    ) -> None:
        self._client = stripe_client(api_key, api_base=api_base, timeout_s=timeout_s, retries=retries)

    def open_account(self, *, reference: str, name: str, idempotency_key: str) -> AccountTold:
        """Open an account for the organisation `name`; the same key gives the same account."""
        params: AccountCreateParams = {
            "type": "express",
            "business_type": "company",
            "business_profile": {"name": name[:LONGEST_NAME]},
            "capabilities": {"transfers": {"requested": True}},
            "metadata": {"reference": reference},
        }
        with provider_errors():
            made = self._client.v1.accounts.create(params, {"idempotency_key": idempotency_key})
        return _told(made.to_dict())

    def details_page(self, account_ref: str, *, return_url: str, refresh_url: str) -> str:
        """The address of the provider's page on which details are handed in; good for minutes and one visit."""
        with provider_errors():
            link = self._client.v1.account_links.create(
                {
                    "account": account_ref,
                    "refresh_url": refresh_url,
                    "return_url": return_url,
                    "type": "account_onboarding",
                }
            )
        return link.url

    def find_account(self, account_ref: str) -> AccountTold:
        """Where an account stands now."""
        with provider_errors():
            return _told(self._client.v1.accounts.retrieve(account_ref).to_dict())

    def send_transfer(self, request: TransferRequest) -> MoneyMoved:
        """Move money to an account; the same key moves it once."""
        params: TransferCreateParams = {
            "amount": request.amount_fen,
            "currency": CURRENCY,
            "destination": request.account_ref,
            "transfer_group": request.group,
            "metadata": {"reference": request.reference},
        }
        with provider_errors():
            made = self._client.v1.transfers.create(params, {"idempotency_key": request.idempotency_key})
        return _moved(made.to_dict())

    def find_transfer(self, *, group: str, reference: str) -> MoneyMoved | None:
        """The transfer under our number, None where there is none: for a request so old that its key may be forgotten
        at the provider."""
        with provider_errors():
            listed = self._client.v1.transfers.list({"transfer_group": group, "limit": PAGE})
            rows = [row.to_dict() for row in listed.auto_paging_iter()]
        return _under(reference, rows)

    def reverse_transfer(
        self, transfer_ref: str, amount_fen: int, *, reference: str, idempotency_key: str
    ) -> MoneyMoved:
        """Take back `amount_fen` of a transfer; never more than is left of it."""
        with provider_errors():
            made = self._client.v1.transfers.reversals.create(
                transfer_ref,
                {"amount": amount_fen, "metadata": {"reference": reference}},
                {"idempotency_key": idempotency_key},
            )
        return _moved(made.to_dict())

    def find_reversal(self, transfer_ref: str, *, reference: str) -> MoneyMoved | None:
        """The reversal under our number, None where there is none."""
        with provider_errors():
            listed = self._client.v1.transfers.reversals.list(transfer_ref, {"limit": PAGE})
            rows = [row.to_dict() for row in listed.auto_paging_iter()]
        return _under(reference, rows)


def _under(reference: str, rows: list[dict[str, Any]]) -> MoneyMoved | None:
    named = (row for row in rows if (row.get("metadata") or {}).get("reference") == reference)
    return next((_moved(row) for row in named), None)


def _moved(row: dict[str, Any]) -> MoneyMoved:
    return MoneyMoved(row["id"], row["amount"], instant_of(row["created"]))


def _told(row: dict[str, Any]) -> AccountTold:
    asks = row.get("requirements") or {}
    wanted = tuple(dict.fromkeys([*(asks.get("past_due") or ()), *(asks.get("currently_due") or ())]))
    deadline = asks.get("current_deadline")
    status = _status_of(row, asks, wanted)
    return AccountTold(
        ref=row["id"],
        status=status,
        wanted=wanted,
        due_at=instant_of(deadline) if deadline else None,
        reason=(asks.get("disabled_reason") or "") if status is AccountStatus.RESTRICTED else "",
    )


def _status_of(row: dict[str, Any], asks: dict[str, Any], wanted: tuple[str, ...]) -> AccountStatus:
    """Stripe's many fields as one word. Money may be sent once the capability is active, whatever is wanted later.

    An account that handed in what was wanted and is past a later day is restricted; before the first details were
    handed in, the same field only says that they are missing.
    """
    reason = asks.get("disabled_reason") or ""
    if reason.startswith(LOST):
        return AccountStatus.RESTRICTED
    if (row.get("capabilities") or {}).get("transfers") == "active":
        return AccountStatus.READY
    if not row.get("details_submitted"):
        return AccountStatus.DETAILS_WANTED
    if asks.get("past_due"):
        return AccountStatus.RESTRICTED
    return AccountStatus.DETAILS_WANTED if wanted else AccountStatus.UNDER_REVIEW
