"""The formats: what people and programs get to read, from strangers' records too."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from compared import compared, save
from records import component, make_record, metric

from vqbench.compare import FORMATS, render
from vqbench.compare.render.markdown import MOST_ROWS

EVIL = "a|b<img src=x onerror=alert(1)>\x1b[31m`x`&\ufffe]]>"


@pytest.fixture
def report(tmp_path):
    base, new = tmp_path / "base", tmp_path / "new"
    gone, same = make_record(seed=1), make_record(seed=2, quantizer="boring")
    save(base, make_record(metrics={"psnr": 25.0, "ssim": 0.9, "l1": 3.0}), gone, same)
    save(new, make_record(metrics={"psnr": 24.0, "ssim": 0.95, "l1": metric(2.0, unit="other")}), same)
    return compared(base, new)


def test_the_table_lists_what_changed_and_counts_the_rest(report):
    text = render(report, "table")
    lines = text.splitlines()
    assert lines[2].startswith("WORSE")
    assert lines[2].split()[-7:-2] == ["psnr", "25.00", "24.00", "-1", "dB"]
    assert "MISSING" in lines[3]
    assert "better" in lines[4]
    assert "boring" not in text
    assert "1 worse, 1 missing, 1 not comparable, 1 better, 1 same" in text
    assert lines[-1] == "2 regressions"


def test_markdown_has_changed_rows_first_and_folds_the_rest(report):
    text = render(report, "markdown")
    assert text.startswith("### vqbench compare: 2 regressions\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| WORSE", "| MISSING", "| better"]
    table, folded = text.split("<details>", 1)
    assert "boring" not in table
    assert "boring" in folded
    assert text.count("<details>") == text.count("</details>") == 2


def test_json_has_everything_in_full_precision(report):
    document = json.loads(render(report, "json"))
    assert document["exit_code"] == 1
    assert document["counts"]["same"] == 1
    [worse] = (found for found in document["findings"] if found["verdict"] == "worse")
    assert (worse["metric"], worse["difference"], worse["effect"]) == ("psnr", -1.0, "regression")
    assert worse["base"]["value"] == 25.0
    assert worse["labels"] == ["fsq", "unet", "photos"]


def test_junit_has_a_case_for_each_cell_and_a_failure_for_each_that_regressed(report):
    root = ElementTree.fromstring(render(report, "junit").encode())
    [suite] = root
    cases = {case.attrib["name"]: case for case in suite}
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("3", "2", "1")
    changed = cases["fsq × unet × photos, seed 0"]
    failure, error = changed.find("failure"), changed.find("error")
    assert failure is not None
    assert error is not None
    assert failure.attrib["message"] == "psnr worse: 25.00 → 24.00 (-1 dB): size alone"
    assert "definitions" in str(error.text)
    assert "ssim better" in str(changed.findtext("system-out"))
    assert len(cases["boring × unet × photos, seed 2"]) == 0


def test_what_strangers_wrote_stays_text(tmp_path):
    base, new = tmp_path / "base", tmp_path / "new"
    evil = make_record(quantizer=component("q").model_copy(update={"label": EVIL}), metrics={EVIL: 25.0})
    null = metric(None, reason=EVIL)
    for folder, record in ((base, evil), (new, evil.model_copy(update={"metrics": {EVIL: null}}))):
        (folder / "suite").mkdir(parents=True)
        (folder / "suite" / f"{record.cell_id}.json").write_text(json.dumps(record.model_dump()))
    report = compared(base, new)
    assert report.exit_code == 1
    markdown = render(report, "markdown")
    assert "<img" not in markdown
    row = next(line for line in markdown.splitlines() if line.startswith("| MISSING"))
    assert row.replace("\\|", "").count("|") == 9
    ElementTree.fromstring(render(report, "junit").encode())
    for form in FORMATS:
        assert "\x1b" not in render(report, form)


def test_the_summary_of_very_many_changes_fits_a_comment(tmp_path):
    base, new = tmp_path / "base", tmp_path / "new"
    for seed in range(300):
        name = component("q" * 60)
        save(base, make_record(quantizer=name, seed=seed))
        save(new, make_record(quantizer=name, seed=seed, metrics={"psnr": metric(None, reason=f"{seed}" * 500)}))
    text = render(compared(base, new), "markdown")
    assert len(text) < 65_536
    assert f"… and {300 - MOST_ROWS} more." in text
