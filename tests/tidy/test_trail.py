"""The trail is read by people: whatever the rooms write into it has words."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from marketplace.identity.trail_details import KEYS
from marketplace.identity.trail_words import SUBJECTS
from tests.tidy.test_code import MODULES, name_of

WRITERS = {"record_trail", "trail_row"}
COLUMNS = {"subject", "cooperative_id", "buyer_unit_id", "household_id", "county_code"}


def calls_in(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """The calls of functions with these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def handed_on(tree: ast.Module) -> set[str]:
    """The functions of a module that write a row with whatever detail they are given."""
    return {
        one.name
        for one in tree.body
        if isinstance(one, ast.FunctionDef) and one.args.kwarg
        for call in calls_in(one, WRITERS)
        if any(keyword.arg is None for keyword in call.keywords)
    }


def test_every_detail_of_the_trail_has_words() -> None:
    wordless = {
        f"{name_of(path)}:{call.lineno} {keyword.arg}"
        for path in MODULES
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for call in calls_in(tree, WRITERS | handed_on(tree))
        for keyword in call.keywords
        if keyword.arg and keyword.arg not in KEYS | dict.fromkeys(COLUMNS)
    }
    assert wordless == set()


def test_every_subject_of_the_trail_has_words() -> None:
    kinds = {
        (f"{name_of(path)}:{call.lineno}", keyword.value.elts[0].value)
        for path in MODULES
        for call in calls_in(ast.parse(path.read_text(encoding="utf-8")), WRITERS)
        for keyword in call.keywords
        if keyword.arg == "subject"
        and isinstance(keyword.value, ast.Tuple)
        and isinstance(keyword.value.elts[0], ast.Constant)
    }
    assert {place for place, kind in kinds if kind not in SUBJECTS} == set()
    assert len(kinds) > 50
