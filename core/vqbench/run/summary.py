"""What a run has come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vqbench.results import Status
from vqbench.run.wording import duration, first_line, printable

__all__ = ["FailedCell", "RunSummary"]

MOST_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class FailedCell:
    """A cell without numbers: its name, its record's status and the first line of why."""

    name: str
    status: Status
    message: str


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run has come to.

    Attributes:
        counts: status → cells of the plan that have it now.
        cached: cells among them whose record was already there.
        not_run: cells that a stopped run left untouched.
        trained: train units trained in this run.
        skipped: combinations that the plan left out.
        seconds: wall time.
        failed: the cells without numbers.
    """

    counts: Mapping[Status, int]
    cached: int
    not_run: int
    trained: int
    skipped: int
    seconds: float
    failed: tuple[FailedCell, ...]

    @property
    def exit_code(self) -> int:
        """0 if every cell has its numbers, else 1."""
        return 1 if self.failed or self.not_run else 0

    def text(self) -> str:
        """A few lines for people."""
        ok = self.counts.get("ok", 0)
        parts = [f"{ok} ok" + (f" ({self.cached} of them from earlier runs)" if self.cached else "")]
        parts += [f"{n} {status.replace('_', ' ')}" for status, n in self.counts.items() if status != "ok" and n]
        parts += [f"{self.not_run} not run"] if self.not_run else []
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        lines = [f"Cells: {', '.join(parts)}. Trained {self.trained} in {duration(self.seconds)}."]
        for cell in self.failed[:MOST_LISTED]:
            lines.append(f"  {printable(cell.name)}: {cell.status.replace('_', ' ')}: {first_line(cell.message)}")
        if len(self.failed) > MOST_LISTED:
            lines.append(f"  … and {len(self.failed) - MOST_LISTED} more")
        return "\n".join(lines)
