"""``docs/conformance.md`` says what the golden tests compare, no more and no less."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import conformance_table
import pytest
from conformance_table import TABLE, groups_of, make_table, parse_table

INDEX = {
    "a": {"rule": "vq", "variant": "v", "source": "repo@1", "fields": {}},
    "b": {"rule": "vq", "variant": "v", "source": "repo@1", "fields": {}},
    "c": {"rule": "ssim", "variant": "w", "source": "repo|2", "fields": {}},
}
for _name, _fields in (("a", ("loss", "indices")), ("b", ("loss",)), ("c", ("ssim",))):
    INDEX[_name]["fields"] = {"x": {"role": "input"}} | {field: {"role": "expected"} for field in _fields}  # type: ignore[assignment]


def test_every_method_agrees_with_its_original() -> None:
    assert [row.key for row in parse_table(TABLE.read_text())[1] if row.result.startswith("**")] == []


def test_the_table_claims_what_the_golden_tests_compare() -> None:
    script = Path(conformance_table.__file__)
    check = subprocess.run([sys.executable, script, "--check"], cwd=script.parents[2], capture_output=True, text=True)
    assert check.returncode == 0, f"{check.stdout}{check.stderr}\nrun `python tests/support/conformance_table.py`"


def test_a_field_counts_as_compared_only_in_the_cases_where_it_was() -> None:
    (vq, ssim) = sorted(
        groups_of(INDEX, {"t1": {"a": {"loss"}, "b": set()}, "t2": {"c": set()}}), key=lambda g: g.variant
    )
    assert (vq.compared, vq.expected, vq.result) == (Counter(loss=1), Counter(loss=2, indices=1), "agrees")
    assert (ssim.compared, ssim.result, ssim.source) == (Counter(), "a test pins the difference", "repo/2")


@pytest.mark.parametrize(
    ("compared", "failed", "result"),
    [
        ({"t": {"a": {"loss"}, "b": {"loss"}}}, (), "agrees"),
        ({"t": {"a": {"loss"}}}, (), "**not tested**"),
        ({"t": {"a": {"loss"}}, "u": {"b": set()}}, ("u",), "**DIFFERS**"),
    ],
)
def test_what_was_not_read_or_failed_stands_out(compared, failed, result) -> None:
    by_variant = {group.variant: group for group in groups_of(INDEX, compared, failed)}
    assert by_variant["v"].result == result


def test_a_table_reads_back_as_it_was_made() -> None:
    groups = groups_of(INDEX, {"t1": {"a": {"loss", "indices"}, "b": set()}, "t2": {"c": {"ssim"}}})
    digest, parsed = parse_table(make_table(groups, "0123abcd"))
    assert digest == "0123abcd"
    assert parsed == groups
