"""The conformance kit on suite files: what is wrong with one is found without its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqbench import SuiteSpec
from vqbench.catalog import Catalog, CatalogOptions, SuiteEntry
from vqbench.testing import Subject, run_checks
from vqbench.testing.suite import SUITE_CHECKS

BUILT_IN = Catalog.load(CatalogOptions(autoload=False))
SUITE = """
schema = 1
name = "small"
equal_bits = true
data = {{ name = "folder", image_size = 32 }}
backbones = [{{ name = "unet", preset = "tiny" }}, {{ name = "vit", preset = "tiny" }}]
exclude = [{exclude}]
[[quantizers]]
name = "fsq"
params = {{ levels = [8, 8] }}
[[quantizers]]
name = "{second}"
params = {{ bits = {bits} }}
"""
UNET = '{ backbone = "unet", reason = "too slow" }'


def failures(folder: Path, *, name: str = "small", second: str = "lfq", bits: int = 6, exclude: str = UNET):
    """Messages of the checks that fail, by name; the images of the suite are not on this machine."""
    path = folder / "suite.toml"
    path.write_text(SUITE.format(second=second, bits=bits, exclude=exclude))
    entry = SuiteEntry(spec=SuiteSpec(name=name, summary="a suite", path=path), plugin="tests")
    catalog = Catalog([*BUILT_IN.entries(), entry])
    quick = [check for check in SUITE_CHECKS if check.name != "planning_imports_no_torch"]  # starts a process
    outcomes = list(run_checks(Subject(entry=entry, catalog=catalog), quick))
    return {outcome.check.name: outcome.message for outcome in outcomes if not outcome.good}


def test_a_sound_suite_passes(tmp_path: Path) -> None:
    assert failures(tmp_path) == {}


@pytest.mark.parametrize(
    ("changed", "check", "message"),
    [
        ({"name": "other"}, "the_file_is_a_suite_of_that_name", "got small, expected other"),
        ({"bits": 7}, "it_plans_where_everything_is_at_hand", "bits per image are unequal"),
        ({"second": "lfg"}, "it_plans_where_everything_is_at_hand", "Did you mean 'lfq'"),
        (
            {"exclude": '{ backbone = "unett", reason = "too slow" }'},
            "every_exclusion_excludes_something",
            "got * × unett × *",
        ),
        ({"exclude": '{ reason = "all" }'}, "it_plans_where_everything_is_at_hand", "no cell would run"),
        ({"exclude": "1"}, "the_file_is_a_suite_of_that_name", "exclude"),
    ],
)
def test_what_is_wrong_with_a_suite_is_found_without_its_data(tmp_path: Path, changed, check, message) -> None:
    found = failures(tmp_path, **changed)
    assert message in found[check]


def test_what_is_lacking_is_skipped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures(tmp_path) == {}
    monkeypatch.setattr("vqbench.plan.build._revision", lambda dataset: ("", " "))
    assert "skipped without a reason" in failures(tmp_path)["what_is_lacking_is_skipped_with_a_reason"]
