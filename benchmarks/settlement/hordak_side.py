"""The same legs with django-hordak: run by the other environment's Python, answers one JSON line per request line.

A request is {"lines": n, "batch": b}: n transactions of 21 transfers (42 legs), committed after every b of them.
"""

from __future__ import annotations

import json
import sys
import time

import django
from django.conf import settings

HOUSEHOLDS = 20


def configure(folder: str, name: str) -> None:
    """Django with nothing but the ledger."""
    settings.configure(
        SECRET_KEY="a-benchmark",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "hordak"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": name,
                "USER": "postgres",
                "HOST": folder,
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        DEFAULT_CURRENCY="CNY",
        HORDAK_DEFAULT_CURRENCY="CNY",
        HORDAK_INTERNAL_CURRENCY="CNY",
    )
    django.setup()


def main(folder: str, name: str) -> None:
    """Migrate, make the accounts, then answer requests."""
    configure(folder, name)
    from django.core.management import call_command
    from django.db import transaction
    from hordak.models import Account, Leg, Transaction
    from moneyed import Money

    call_command("migrate", verbosity=0)
    names = ("escrow", "cooperative", *(f"household {number}" for number in range(10 * HOUSEHOLDS)))
    accounts = [
        Account.objects.create(name=title, code=f"{place:05d}", type="LI", currencies=["CNY"])
        for place, title in enumerate(names)
    ]
    escrow, cooperative, households = accounts[0], accounts[1], accounts[2:]

    def legs_of(posted: Transaction, line: int) -> list[Leg]:
        first = (line % 10) * HOUSEHOLDS
        moves = [(escrow, cooperative, 15_000)]
        moves += [(cooperative, one, 75) for one in households[first : first + HOUSEHOLDS]]
        legs = []
        for debit, credit, fen in moves:
            amount = Money(fen, "CNY")
            legs.append(Leg(transaction=posted, account=debit, debit=amount))
            legs.append(Leg(transaction=posted, account=credit, credit=amount))
        return legs

    def post(lines: int, batch: int) -> float:
        began = time.perf_counter()
        for start in range(0, lines, batch):
            with transaction.atomic():
                several = range(start, min(start + batch, lines))
                posted = Transaction.objects.bulk_create(
                    [Transaction(description="line settled") for _ in several]
                )
                Leg.objects.bulk_create(
                    [leg for line, one in zip(several, posted, strict=True) for leg in legs_of(one, line)]
                )
        return time.perf_counter() - began

    posted = 0
    for request in sys.stdin:
        asked = json.loads(request)
        seconds = post(asked["lines"], asked["batch"])
        posted += asked["lines"]
        assert Leg.objects.count() == posted * 2 * (HOUSEHOLDS + 1)
        sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
