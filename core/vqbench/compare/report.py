"""What comparing found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vqbench.compare.entry import Entry
from vqbench.results import MetricRecord

__all__ = ["EFFECTS", "VERDICTS", "Effect", "Finding", "Report", "Verdict"]

Verdict: TypeAlias = Literal["worse", "missing", "not comparable", "better", "changed", "new", "same"]
VERDICTS: tuple[Verdict, ...] = ("worse", "missing", "not comparable", "better", "changed", "new", "same")
"""In the order in which they matter. "changed" is a difference of a number that has no direction."""

Effect: TypeAlias = Literal["regression", "undecided", "none"]
EFFECTS: tuple[Effect, ...] = ("regression", "undecided", "none")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict on one number of one entry, or, where ``metric`` is None, on the entry as a whole.

    ``effect`` is what it means for the gate. ``p`` is corrected for the number of comparisons; ``method`` says what decided.
    ``too_noisy`` is a speed that is the same as far as can be told, whose samples do not rule out a slowdown beyond its limit.
    """

    entry: Entry
    metric: str | None
    verdict: Verdict
    effect: Effect = "none"
    base: MetricRecord | None = None
    new: MetricRecord | None = None
    p: float | None = None
    method: str = ""
    reason: str = ""
    too_noisy: bool = False

    @property
    def difference(self) -> float | None:
        """NEW minus BASE."""
        if self.base is None or self.new is None or self.base.value is None or self.new.value is None:
            return None
        return self.new.value - self.base.value

    @property
    def ratio(self) -> float | None:
        """NEW over BASE; None where that means nothing."""
        if self.base is None or self.new is None or not self.base.value or self.new.value is None:
            return None
        return self.new.value / self.base.value


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, in NEW's order.

    ``comparisons`` is the number of tests that p was corrected for; ``ignored`` counts the numbers that the gate left out;
    ``unused`` are the indices of its rules that matched nothing.
    """

    base: str
    new: str
    findings: tuple[Finding, ...]
    comparisons: int
    ignored: int
    unused: tuple[int, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings of each verdict."""
        found = Counter(finding.verdict for finding in self.findings)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def of(self, effect: Effect) -> list[Finding]:
        """The findings of one effect."""
        return [finding for finding in self.findings if finding.effect == effect]

    @property
    def incomparable(self) -> list[Finding]:
        """What is not comparable, whatever that means for the gate."""
        return [finding for finding in self.findings if finding.verdict == "not comparable"]

    @property
    def too_noisy(self) -> list[Finding]:
        """The speeds of which it cannot be told whether they became slower."""
        return [finding for finding in self.findings if finding.too_noisy]

    @property
    def same(self) -> list[Finding]:
        """What is the same beyond doubt."""
        return [finding for finding in self.findings if finding.verdict == "same" and not finding.too_noisy]

    @property
    def compared(self) -> int:
        """How many numbers were compared."""
        return sum(f.verdict != "not comparable" and f.difference is not None for f in self.findings)

    @property
    def exit_code(self) -> int:
        """1 with a regression; else 2 if something is undecided or nothing was compared; else 0."""
        if self.of("regression"):
            return 1
        return 2 if self.of("undecided") or not self.compared else 0

    @property
    def conclusion(self) -> str:
        """The outcome in a few words."""
        if regressions := len(self.of("regression")):
            return "1 regression" if regressions == 1 else f"{regressions} regressions"
        told = {"not comparable": self.of("undecided"), "too noisy to tell": self.too_noisy}
        if doubts := [f"{len(findings)} {what}" for what, findings in told.items() if findings]:
            return f"no regression, but {' and '.join(doubts)}"
        return "no regression" if self.compared else "nothing was compared"
