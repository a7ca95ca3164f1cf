"""Writes ``docs/conformance.md``: runs the golden tests and tabulates what they found to agree with which original.

::

    python tests/support/conformance_table.py           # run the tests, write the table
    python tests/support/conformance_table.py --check   # run the tests; exit 1 if the committed table says anything else

A row is a variant of a rule as one original implementation computes it. What it says was compared is what
:class:`golden.Case` noted while the tests ran, not what anybody claims.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import golden
import pytest

__all__ = ["TABLE", "Group", "groups_of", "index_digest", "make_table", "parse_table", "run_golden_tests"]

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "docs" / "conformance.md"
METHODS = (  # by the beginning of a rule's name; the first that fits
    ("fsq", "fsq"),
    ("lfq", "lfq"),
    ("bsq", "bsq"),
    ("vq", "vqgan, vq_vae_2"),
    ("gq_objective", "training objective"),
    ("disc_loss", "training objective"),
    ("gq", "gq"),
    ("tdc", "gaussian_vae, gq"),
    ("tokenbridge", "tokenbridge"),
    ("gaussian_ptq", "tokenbridge"),
    ("sq", "sq_vae, sq_vae_2"),
    ("rsq", "rsq_vae"),
    ("rvq", "rq_vae"),
    ("rq", "rq_vae"),
    ("code_usage", "code usage"),
    ("simvq", "simvq (the tutorial's)"),
)
KINDS = ("codes", "values", "losses", "gradients", "state")
LOSSES = re.compile(r"loss|commitment|entropy|kld_|kl_|nll|arelbo|logvar|_reg$|^rec$|^hinge$|^vanilla$")
STATE = re.compile(r"_(after|steps|last)$|^lam|^d_weight$|^temperature$|^bits_")
CODES = re.compile(r"indices|digits")
HEADER = "| method | variant | original implementation | cases | compared | not compared | result |"
CELL = re.compile(r"(?<!\\)\|")
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cases of one variant and source.

    ``expected`` says of each field in how many cases it could be compared, ``compared`` in how many it was.
    """

    method: str
    variant: str
    source: str
    cases: int
    expected: Counter[str]
    compared: Counter[str]
    result: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.method, self.variant, self.source


def groups_of(
    index: Mapping[str, Mapping], compared: Mapping[str, Mapping[str, set[str]]], failed: Iterable[str] = ()
) -> list[Group]:
    """The rows: cases by method, variant and source.

    Args:
        index: all golden cases.
        compared: of each test, the cases it read and the fields it found to agree.
        failed: names of tests that failed.
    """
    agreed: dict[str, set[str]] = {}  # also of a case that a test reads without comparing a field of it
    for of_test in compared.values():
        for case, fields in of_test.items():
            agreed.setdefault(case, set()).update(fields)
    differs = {case for test in failed for case in compared.get(test, ())}

    def result(cases: list[str]) -> str:
        if not differs.isdisjoint(cases):
            return "**DIFFERS**"
        if not agreed.keys() >= set(cases):
            return "**not tested**"
        return "agrees" if any(agreed[case] for case in cases) else "a test pins the difference"

    rows: dict[tuple[str, str, str], list[str]] = {}
    for name, entry in index.items():
        rows.setdefault((_method(entry["rule"]), entry["variant"], _source(entry["source"])), []).append(name)
    return [
        Group(
            method=method,
            variant=variant,
            source=source,
            cases=len(cases),
            expected=Counter(f for c in cases for f, s in index[c]["fields"].items() if s["role"] == "expected"),
            compared=Counter(field for case in cases for field in agreed.get(case, ())),
            result=result(cases),
        )
        for (method, variant, source), cases in sorted(rows.items())
    ]


def _method(rule: str) -> str:
    return next((method for start, method in METHODS if rule.startswith(start)), rule)


def _source(source: str) -> str:
    """In one line, as a table's cell."""
    return " ".join(source.split()).replace("|", "/")


def index_digest(index: Mapping[str, Mapping]) -> str:
    """Changes with any case's parameters, fields or tolerances."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()[:16]


def make_table(groups: Iterable[Group], digest: str) -> str:
    """``docs/conformance.md``."""
    groups = list(groups)
    cases = sum(group.cases for group in groups)
    lines = [
        "# Conformance",
        "",
        "Every method is held to numbers recorded from its original implementation: stored inputs go in, and codes, values,",
        "losses, gradients and the state after consecutive steps must come out, within the tolerances of",
        "`tests/golden/index*.json`. Codes are compared wherever float32 can decide them.",
        "",
        "Made by `python tests/support/conformance_table.py` from what the tests `tests/conformance/test_golden_*.py` compared:",
        f'{cases} cases in {len(groups)} rows. "Not compared" are recorded numbers that no test looks at (×n: in n cases),',
        'most often intermediate ones that the method here never forms; "a test pins the difference" where the original computes',
        "something else than the method's definition, or than the protocol's metric, and a test says so.",
        "",
        f"<!-- index {digest} -->",
        "",
        HEADER,
        "|---|---|---|--:|---|---|---|",
    ]
    for g in groups:
        cells = (g.method, f"`{g.variant}`", g.source, str(g.cases), _fields(g.compared, g.cases))
        lines.append("| " + " | ".join((*cells, _fields(g.expected - g.compared, g.cases), g.result)) + " |")
    return "\n".join(lines) + "\n"


def _fields(fields: Counter[str], cases: int) -> str:
    kinds: dict[str, list[str]] = {}
    for field in sorted(fields):
        some = "" if fields[field] == cases else f" ×{fields[field]}"
        kinds.setdefault(_kind(field), []).append(f"`{field}`{some}")
    return "; ".join(f"{kind}: {', '.join(kinds[kind])}" for kind in KINDS if kind in kinds) or NOTHING


def _kind(field: str) -> str:
    if field.startswith("grad_"):
        return "gradients"
    if CODES.search(field):
        return "codes"
    if STATE.search(field):
        return "state"
    return "losses" if LOSSES.search(field) else "values"


def parse_table(text: str) -> tuple[str, list[Group]]:
    """The digest and the rows of a table that :func:`make_table` made."""
    digest = re.search(r"<!-- index ([0-9a-f]+) -->", text)
    assert digest, "the table does not say which index it was made from"
    groups = []
    for line in text[text.index(HEADER) :].splitlines()[2:]:
        method, variant, source, cases, compared, rest, result = (cell.strip() for cell in CELL.split(line)[1:-1])
        found, missing = (
            Counter({field: int(some or cases) for field, some in re.findall(r"`([^`]+)`(?: ×(\d+))?", cell)})
            for cell in (compared, rest)
        )
        groups.append(
            Group(
                method=method,
                variant=variant.strip("`"),
                source=source,
                cases=int(cases),
                expected=found + missing,
                compared=found,
                result=result,
            )
        )
    return digest[1], groups


class _Failures:
    """A pytest plugin that keeps the names of failed tests."""

    def __init__(self) -> None:
        self.tests: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.tests.add(report.nodeid)


def run_golden_tests() -> tuple[list[Group], bool]:
    """Run ``tests/conformance/test_golden_*.py`` here; the rows, and whether all of them passed."""
    golden.COMPARED.clear()
    failures = _Failures()
    tests = sorted(map(str, (ROOT / "tests" / "conformance").glob("test_golden_*.py")))
    code = pytest.main(["-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *tests], plugins=[failures])
    return groups_of(golden.index(), golden.COMPARED, failures.tests), code == pytest.ExitCode.OK


def main(arguments: list[str]) -> int:
    groups, passed = run_golden_tests()
    table = make_table(groups, index_digest(golden.index()))
    if "--check" in arguments:
        current = TABLE.read_text() if TABLE.is_file() else ""
        print(f"{TABLE.name} is {'up to date' if table == current else 'out of date'}")
        return int(table != current or not passed)
    TABLE.write_text(table)
    idle = [case for case in golden.index() if not any(case in read for read in golden.COMPARED.values())]
    print(f"wrote {TABLE}; cases that no test reads: {', '.join(idle) or 'none'}")
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
