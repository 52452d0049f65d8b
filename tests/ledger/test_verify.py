"""The checks: silent on a good ledger; each kind of tampering behind the triggers' back is found and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.checks import CHUNK, MAX_FINDINGS, Check, Finding, run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.posting import TransferDraft, post_entries, post_entry
from marketplace.ledger.verify import CHECKS
from tests.ledger.conftest import Parties

LEDGER = ("account", "entry", "transfer")
Tamper = Callable[[str], object]
Named = dict[str, list[dict[str, Any]]]


def findings_of(session: Session) -> Named:
    """The parameters of the findings, by check; checks without any are left out."""
    results = list(run_checks(session, CHECKS))
    for result in results:
        assert all(str(finding) for finding in result.findings)
        assert all(finding.check == result.check.name for finding in result.findings)
    return {r.check.name: [finding.params for finding in r.findings] for r in results if r.findings}


@pytest.fixture
def tamper(session: Session, backend: str) -> Iterator[Tamper]:
    """What somebody who owns the database can do: change rows with triggers, references and checks out of the way."""
    if backend == "sqlite":
        unguard = ["PRAGMA defer_foreign_keys=ON", "PRAGMA ignore_check_constraints=ON"]
        triggers = session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
        unguard += [f"DROP TRIGGER {name}" for name in triggers]
    else:
        unguard = ["SET LOCAL session_replication_role = replica"]  # silences triggers and references
        checks = text(
            "SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c' AND connamespace > 0"
        )
        for table, name in session.execute(checks).all():
            if table in LEDGER:
                unguard.append(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    def change(statement: str) -> None:
        for before in unguard:
            session.execute(text(before))
        unguard.clear()
        session.execute(text(statement))

    yield change
    if backend == "sqlite":  # a setting of the connection, which the next test uses too
        session.execute(text("PRAGMA ignore_check_constraints=OFF"))


@pytest.fixture
def ledger(session: Session, parties: Parties) -> list[Entry]:
    """A payment, a settlement, and a correction of the settlement."""
    paid, settled = post_entries(session, [parties.paid(), parties.settled()])
    back = TransferDraft(
        AccountKey.household_payable(parties.coop, parties.second),
        AccountKey.cooperative_payable(parties.coop),
        40,
    )
    reversal = post_entry(
        session,
        parties.paid(
            "reversal:1", kind=EntryKind.REVERSAL, transfers=(back,), reverses=settled.id, reason="数量更正"
        ),
    )
    return [paid, settled, reversal]


def test_a_good_ledger_has_no_findings(session: Session, ledger: list[Entry]):
    results = list(run_checks(session, CHECKS))
    assert [result.check.name for result in results if result.findings] == []
    assert {result.check.name: result.examined for result in results} == {
        "transfer_amounts": 5,
        "entries_have_transfers": 3,
        "no_orphans": 8,
        "positions": 3,
        "idempotency_keys": 3,
        "bodies": 3,
        "zero_sum": 5,
        "never_negative": 3,
        "account_owners": 5,
        "one_cooperative": 5,
    }


def test_an_empty_ledger_has_no_findings(session: Session):
    assert findings_of(session) == {}


SWAPPED = (
    "UPDATE transfer SET (debit_account_id, credit_account_id) = (credit_account_id, debit_account_id)"
    " WHERE entry_id = {id}"
)
TAMPERED: list[tuple[str, str]] = [
    ("UPDATE transfer SET amount_fen = amount_fen + 1 WHERE entry_id = {id} AND position = 1", "transfers"),
    (SWAPPED, "transfers"),
    ("DELETE FROM transfer WHERE entry_id = {id} AND position = 3", "transfers"),
    ("UPDATE entry SET reason = '另有原因' WHERE id = {id}", "reason"),
    ("UPDATE entry SET occurred_at = recorded_at WHERE id = {id}", "occurred_at"),
    ("UPDATE entry SET recorded_at = occurred_at WHERE id = {id}", "recorded_at"),
    ("UPDATE entry SET kind = 'adjustment' WHERE id = {id}", "kind"),
    ("UPDATE entry SET kind = 'no_kind_of_ours' WHERE id = {id}", "kind"),
    ("UPDATE entry SET subject_id = 18 WHERE id = {id}", "subject"),
    ("UPDATE entry SET cooperative_id = NULL WHERE id = {id}", "cooperative"),
    ("UPDATE entry SET actor_user_id = 1 WHERE id = {id}", "actor"),
    ("UPDATE entry SET idempotency_key = 'settlement:18' WHERE id = {id}", "key"),
    ("UPDATE entry SET body = replace(body, ',300]', ',301]') WHERE id = {id}", "transfers"),
    ("UPDATE entry SET body = 'nothing' WHERE id = {id}", "body"),
    ("UPDATE entry SET body = '[]' WHERE id = {id}", "body"),
    ("UPDATE entry SET salt = body_hash WHERE id = {id}", "hash"),
]


@pytest.mark.parametrize(("statement", "part"), TAMPERED)
def test_a_changed_entry_is_named_with_what_was_changed(
    session: Session, ledger: list[Entry], tamper: Tamper, statement: str, part: str
):
    settled = ledger[1]
    number, key = settled.public_no, settled.id
    tamper(statement.format(id=key))
    assert findings_of(session)["bodies"] == [{"entry": number, "id": key, "parts": part}]


@pytest.mark.databases("sqlite")
def test_an_unreadable_entry_is_named_and_the_others_are_still_examined(
    session: Session, ledger: list[Entry], tamper: Tamper
):
    broken, other = ledger[1], ledger[2]
    tamper(f"UPDATE entry SET occurred_at = 'last spring' WHERE id = {broken.id}")
    tamper(f"UPDATE entry SET reason = '' WHERE id = {other.id}")
    named = findings_of(session)
    assert [params["id"] for params in named["bodies"]] == [broken.id, other.id]


def test_an_account_given_to_somebody_else_is_named(
    session: Session, ledger: list[Entry], parties: Parties, tamper: Tamper
):
    key = AccountKey.household_payable(parties.coop, parties.first).text
    tamper(f"UPDATE account SET household_id = {parties.third} WHERE key = '{key}'")
    named = findings_of(session)
    assert [params["account"] for params in named["account_owners"]] == [key]


def test_a_renamed_account_is_named_with_its_entries(
    session: Session, ledger: list[Entry], parties: Parties, tamper: Tamper
):
    key = AccountKey.household_payable(parties.coop, parties.first).text
    forged = AccountKey.household_payable(parties.coop, parties.third).text
    tamper(f"UPDATE account SET key = '{forged}', household_id = {parties.third} WHERE key = '{key}'")
    assert [params["id"] for params in findings_of(session)["bodies"]] == [ledger[1].id]


def test_an_account_of_an_unknown_kind_is_named(
    session: Session, ledger: list[Entry], parties: Parties, tamper: Tamper
):
    tamper("UPDATE account SET kind = 'purse' WHERE kind = 'clearing'")
    assert [params["account"] for params in findings_of(session)["account_owners"]] == [
        "clearing:channel=card"
    ]


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE transfer SET amount_fen = -5 WHERE entry_id = {paid}", "transfer_amounts"),
        (
            "UPDATE transfer SET credit_account_id = debit_account_id WHERE entry_id = {paid}",
            "transfer_amounts",
        ),
        ("DELETE FROM transfer WHERE entry_id = {paid}", "entries_have_transfers"),
        ("DELETE FROM entry WHERE id = {paid}", "no_orphans"),
        ("DELETE FROM account WHERE kind = 'clearing'", "no_orphans"),
        ("DELETE FROM entry WHERE id = {settled}", "no_orphans"),
        ("UPDATE entry SET reverses_entry_id = id WHERE id = {reversal}", "no_orphans"),
        ("UPDATE transfer SET position = 7 WHERE entry_id = {settled} AND position = 2", "positions"),
        ("DELETE FROM account WHERE kind = 'clearing'", "zero_sum"),
        ("UPDATE transfer SET amount_fen = 200 WHERE entry_id = {reversal}", "never_negative"),
        ("UPDATE entry SET cooperative_id = {other} WHERE id = {paid}", "one_cooperative"),
        ("UPDATE transfer SET cooperative_id = {other} WHERE entry_id = {paid}", "one_cooperative"),
        ("UPDATE transfer SET cooperative_id = NULL WHERE entry_id = {paid}", "one_cooperative"),
    ],
)
def test_what_cannot_be_is_found(
    session: Session, ledger: list[Entry], parties: Parties, tamper: Tamper, statement: str, check: str
):
    ids = {
        "paid": ledger[0].id,
        "settled": ledger[1].id,
        "reversal": ledger[2].id,
        "other": parties.other_coop,
    }
    tamper(statement.format(**ids))
    assert len(findings_of(session)[check]) >= 1


@pytest.mark.databases("postgresql")  # SQLite cannot drop a unique constraint without copying the table
def test_a_key_used_twice_is_found(session: Session, ledger: list[Entry], tamper: Tamper):
    tamper("ALTER TABLE entry DROP CONSTRAINT uq_entry_idempotency_key")
    tamper(f"UPDATE entry SET idempotency_key = 'payment:1' WHERE id = {ledger[1].id}")
    assert findings_of(session)["idempotency_keys"] == [{"key": "payment:1", "times": 2}]


def test_a_household_that_owes_money_is_named(session: Session, parties: Parties):
    own = AccountKey.household_payable(parties.coop, parties.first)
    taken = TransferDraft(own, AccountKey.cooperative_payable(parties.coop), 500)
    post_entries(
        session, [parties.settled(), parties.paid("taken", kind=EntryKind.REFUND, transfers=(taken,))]
    )
    named = findings_of(session)["never_negative"]
    assert {"account": own.text, "balance_fen": -200} in named


def test_findings_are_bounded(session: Session, parties: Parties, tamper: Tamper):
    post_entries(session, [parties.paid(f"payment:{n}") for n in range(MAX_FINDINGS + 20)])
    tamper("UPDATE entry SET reason = 'x'")
    assert len(findings_of(session)["bodies"]) == MAX_FINDINGS


def test_every_entry_of_a_long_ledger_is_examined_once(session: Session, parties: Parties, tamper: Tamper):
    entries = post_entries(session, [parties.paid(f"payment:{n}") for n in range(2 * CHUNK + 1)])
    last = max(entry.id for entry in entries)
    tamper(f"UPDATE entry SET reason = 'x' WHERE id = {last}")
    bodies = next(check for check in CHECKS if check.name == "bodies")
    examined, findings = bodies.examine(session)
    assert examined == 2 * CHUNK + 1
    assert [finding.params["id"] for finding in findings] == [last]


def test_the_runner_takes_checks_of_other_rooms(session: Session):
    wrong = Finding("weather", "今天下雨，%(mm)s 毫米", {"mm": 12})
    check = Check("weather", "天气", lambda _session: (1, [wrong]))
    results = list(run_checks(session, (*CHECKS, check)))
    assert results[-1].check is check
    assert (results[-1].examined, [str(finding) for finding in results[-1].findings]) == (
        1,
        ["今天下雨，12 毫米"],
    )
