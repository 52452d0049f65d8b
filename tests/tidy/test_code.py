"""What the linters cannot know about this house."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.identity.trail_details import KEYS
from marketplace.identity.trail_words import ACTIONS, ROOMS as WORDED_ROOMS, SUBJECTS

TOP = Path(__file__).resolve().parents[2]
ROOMS = TOP / "marketplace"
MODULES = sorted(path for path in ROOMS.rglob("*.py") if "__pycache__" not in path.parts)
SAYS_NOTHING = {"utils", "helpers", "common", "misc"}
DEMO = ("marketplace/demo/", "marketplace/reporting/demo/")
HANZI = re.compile(r"[\u4e00-\u9fff]")
TRANSLATING = {
    "N_",
    "NN_",
    "counted",
    "_",
    "gettext",
    "ngettext",
    "lazy_gettext",
    "_l",
    "lazy_ngettext",
    "pgettext",
}
RECORDING = {"record_trail", "trail_row"}
DATA = {"户主", "名册"}  # Chinese words kept in the database as data, not messages
EDGES_AND_RULES = {"views", "forms", "rules"}  # where every Chinese string is meant for a reader


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def lines_with(pattern: str, *, allowed: tuple[str, ...]) -> list[str]:
    """Lines of code (no comments) that match, outside the modules allowed."""
    found = []
    for path in MODULES:
        if name_of(path).startswith(allowed):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line.split("  #")[0]):
                found.append(f"{name_of(path)}:{number}: {line.strip()}")
    return found


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        pytest.param(
            r"(?<!writer)\.commit\(", ("marketplace/web/transaction.py",), id="one commit point a runner"
        ),
        pytest.param(
            r"\bdatetime\.(now|today|utcnow)\(|\bdate\.today\(|\butcnow\b|\btime\.time\(",
            ("marketplace/core/clock.py", "marketplace/payments/stripe_emulator/", *DEMO),
            id="one clock",
        ),
        pytest.param(
            r"\bfloat\(|\bNumeric\b|\bFloat\b|\bDecimal\b",
            ("marketplace/payments/stripe_emulator/", *DEMO),
            id="whole numbers",
        ),
    ],
)  # the emulator stands in for a foreign machine with a clock of its own; the demo signs in its name and draws pictures
def test_nobody_goes_round(pattern: str, allowed: tuple[str, ...]) -> None:
    assert lines_with(pattern, allowed=allowed) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_package_files_hold_only_a_docstring() -> None:
    packages = [path for path in MODULES if path.name == "__init__.py"]
    assert not [
        name_of(path) for path in packages if len(ast.parse(path.read_text(encoding="utf-8")).body) != 1
    ]


def test_no_module_is_named_after_nothing() -> None:
    assert not [name_of(path) for path in MODULES if path.stem in SAYS_NOTHING]


def test_imports_stand_at_the_top() -> None:
    hidden = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
                hidden += [f"{name_of(path)}:{n.lineno}" for n in inner]
    assert hidden == []


def untranslated_strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Chinese literals outside a translating call and outside docstrings."""

    def walk(node: ast.AST) -> Iterator[ast.Constant]:
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in TRANSLATING:
                return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if HANZI.search(text) and text not in DATA:
            yield node
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return walk(tree)


def test_every_message_can_be_translated() -> None:
    found = []
    for path in MODULES:
        if path.stem in EDGES_AND_RULES or path.parent.name in EDGES_AND_RULES:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [f"{name_of(path)}:{node.lineno}: {node.value!r}" for node in untranslated_strings(tree)]
    assert found == []


def test_whatever_the_trail_keeps_has_words() -> None:
    """What is written in a call itself: a part of a code that is put together is looked at where its states are."""
    columns = {"subject", "cooperative_id", "buyer_unit_id", "household_id", "county_code"}
    wordless: set[str] = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in RECORDING:
                continue
            codes = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            wordless |= {
                code for code in codes if code not in ACTIONS or code.split(".")[0] not in WORDED_ROOMS
            }
            for keyword in node.keywords:
                if keyword.arg == "subject" and isinstance(keyword.value, ast.Tuple):
                    kinds = [one.value for one in keyword.value.elts if isinstance(one, ast.Constant)]
                    wordless |= {f"subject {kind}" for kind in kinds if kind not in SUBJECTS}
                elif keyword.arg is not None and keyword.arg not in columns | set(KEYS):
                    wordless.add(f"detail {keyword.arg}")
    assert wordless == set()
