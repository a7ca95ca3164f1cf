"""``docs/conformance.md`` says what the golden tests compare, no more and no less."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import golden
import pytest
from conformance_table import TABLE, Group, groups_of, index_digest, make_table, parse_table

REMAKE = "run `python tests/support/conformance_table.py`"
INDEX = {
    "a": {"rule": "vq", "variant": "v", "source": "repo@1", "fields": {}},
    "b": {"rule": "vq", "variant": "v", "source": "repo@1", "fields": {}},
    "c": {"rule": "ssim", "variant": "w", "source": "repo|2", "fields": {}},
}
for _name, _fields in (("a", ("loss", "indices")), ("b", ("loss",)), ("c", ("ssim",))):
    INDEX[_name]["fields"] = {"x": {"role": "input"}} | {field: {"role": "expected"} for field in _fields}  # type: ignore[assignment]


def committed() -> tuple[str, list[Group]]:
    return parse_table(TABLE.read_text())


def test_the_table_lists_every_case_and_every_recorded_field() -> None:
    _, rows = committed()
    expected = {group.key: (group.cases, group.expected) for group in groups_of(golden.index(), {})}
    assert {row.key: (row.cases, row.expected) for row in rows} == expected, REMAKE


def test_the_table_was_made_from_these_cases_and_tolerances() -> None:
    assert committed()[0] == index_digest(golden.index()), REMAKE


def test_every_method_agrees_with_its_original() -> None:
    assert [row.key for row in committed()[1] if row.result.startswith("**")] == []


def test_the_table_claims_what_the_tests_of_this_session_compared(request: pytest.FixtureRequest) -> None:
    if not golden.COMPARED:
        pytest.skip("no golden test ran in this process before")
    rows = {row.key: row.compared for row in committed()[1]}
    ran = {group.key: group.compared for group in groups_of(golden.index(), golden.COMPARED)}
    unclaimed = {key: fields - rows[key] for key, fields in ran.items() if fields - rows[key]}
    assert unclaimed == {}, REMAKE
    if request.session.testsfailed or not _all_golden_tests_are_in(request.session):
        return
    assert ran == rows, REMAKE


def _all_golden_tests_are_in(session: pytest.Session) -> bool:
    """Whether nothing was deselected; xdist workers, which share the tests out, never see them all."""
    options = session.config.option
    narrowed = options.keyword or options.markexpr or any("::" in argument for argument in session.config.args)
    files = {Path(item.path) for item in session.items}
    present = set((TABLE.parent.parent / "tests" / "conformance").glob("test_golden_*.py"))
    return not narrowed and present <= files and not hasattr(session.config, "workerinput")


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
