"""What people see of a run."""

from __future__ import annotations

import io
import itertools

import pytest
from fake_worker import task

from vqbench.run.bars import BarDisplay
from vqbench.run.job import Failure, Progress
from vqbench.run.progress import Display, PlainDisplay, QuietDisplay, choose_display
from vqbench.run.summary import FailedCell, RunSummary
from vqbench.run.wording import duration, first_line, printable

LOST = Failure(status="out_of_memory", stage="train", kind="E", message="[red]no room[/red]\x1b[2J\nsecond line")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def play(display: Display) -> None:
    """A run of three tasks: one does well, one fails, one needs the latter."""
    tasks = [task("a"), task("b"), task("c", needs=("b",))]
    with display:
        display.begin(tasks, cached=4)
        display.on_start(tasks[0])
        display.on_start(tasks[1])
        for step in range(101):
            display.on_progress(tasks[0], Progress(stage="train", done=step, total=100, detail=f"loss [b]{step}"))
        display.on_progress(tasks[0], Progress(stage="data", done=0, total=0))
        display.on_done(tasks[0])
        display.on_failure(tasks[1], LOST)
        display.on_failure(tasks[2], LOST)
        display.warn("mind the \x1b[31mgap")


def test_without_a_terminal_there_is_a_line_for_every_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("vqbench.run.progress.time.monotonic", lambda: float(next(ticks)))
    stream = io.StringIO()
    play(PlainDisplay(stream))
    lines = stream.getvalue().splitlines()
    assert lines[:3] == [
        "4 cells have their record from an earlier run",
        "[0/3] start    fake a",
        "[0/3] start    fake b",
    ]
    steps = [line for line in lines if " train " in line]
    assert [line.split(": ")[1].split(",")[0] for line in steps] == [f"{n}/100" for n in range(10, 101, 10)]
    assert "left, loss [b]10" in steps[0]
    assert lines[-3:] == [
        "[2/3] FAILED   fake b: out of memory (train): [red]no room[/red] [2J",
        "[3/3] not run  fake c: what it needs did not end well",
        "warning: mind the [31mgap",
    ]


def test_a_slow_stage_is_shown_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("vqbench.run.progress.time.monotonic", lambda: now)
    stream = io.StringIO()
    display = PlainDisplay(stream)
    one = task("a")
    display.begin([one], cached=0)
    display.on_start(one)
    for step in range(13):
        display.on_progress(one, Progress(stage="train", done=step, total=10_000))
        now += 10
    shown = [line for line in stream.getvalue().splitlines() if " train " in line]
    assert shown[0].endswith("3/10000, 27 h 46 min left")  # 10 s a step, 9997 to go
    assert [line.split(": ")[1].split("/")[0] for line in shown] == ["3", "6", "9", "12"]


def test_a_quick_stage_is_not_shown_step_by_step() -> None:
    stream = io.StringIO()
    play(PlainDisplay(stream))
    assert " train " not in stream.getvalue()


def test_a_terminal_gets_bars_and_no_markup_of_components() -> None:
    stream = Terminal()
    play(BarDisplay(stream))
    shown = stream.getvalue()
    assert "[red]no room[/red]" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[31mgap" not in shown
    assert "all jobs" in shown


def test_the_display_fits_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose_display(stream=Terminal()), BarDisplay)
    assert type(choose_display(stream=io.StringIO())) is PlainDisplay
    assert type(choose_display(quiet=True, stream=Terminal())) is QuietDisplay
    monkeypatch.setenv("TERM", "dumb")
    assert type(choose_display(stream=Terminal())) is PlainDisplay


def test_quiet_means_warnings_only() -> None:
    stream = io.StringIO()
    play(QuietDisplay(stream))
    assert stream.getvalue() == "warning: mind the [31mgap\n"


def test_times_and_texts() -> None:
    assert [duration(s) for s in (0.04, 9.96, 59.6, 200, 7500)] == [
        "0.0 s",
        "10 s",
        "1 min 0 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert printable("a\r\n\x1b\u202eb") == "a b"
    assert printable("x" * 300) == "x" * 199 + "…"
    assert first_line("\n  \n first \nsecond") == "first"


def test_a_summary_counts_and_names_what_failed() -> None:
    failed = tuple(FailedCell(name=f"cell {n}", status="timeout", message="too slow\nmore") for n in range(25))
    summary = RunSummary(
        counts={"ok": 3, "timeout": 25}, cached=2, not_run=1, trained=4, skipped=5, seconds=61, failed=failed
    )
    lines = summary.text().splitlines()
    assert lines[0] == (
        "Cells: 3 ok (2 of them from earlier runs), 25 timeout, 1 not run, 5 skipped. Trained 4 in 1 min 1 s."
    )
    assert lines[1] == "  cell 0: timeout: too slow"
    assert lines[-1] == "  … and 5 more"
    assert summary.exit_code == 1
