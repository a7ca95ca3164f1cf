"""From two sides to verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from vqbench.compare.entry import Entry, differences
from vqbench.compare.gate import Gate, Limits, is_speed
from vqbench.compare.matching import Pair, match_entries
from vqbench.compare.report import Effect, Finding, Report, Verdict
from vqbench.compare.sides import Side
from vqbench.compare.speed import intervals_overlap, least_p, mann_whitney, rules_out, samples_needed, shift_of
from vqbench.results import MetricRecord
from vqbench.significance import compare_images

__all__ = ["compare_sides"]

BY_IMAGES = "paired bootstrap over images"
BY_SAMPLES = "Mann–Whitney over samples"
BY_INTERVALS = "95 % intervals"
BY_SIZE = "size alone"
TIMES = ("images/s", "tokens/s", "ms", "s")
"""Units of what depends on how fast the machine is just then."""
ONE_RUN = (
    "beyond its limit, but timed in one run: the machine may have been slower for as long; time in passes (docs/ci.md)"
)
TOO_NOISY = "a slowdown beyond the limit cannot be ruled out"


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """Two numbers that are comparable and not equal. ``test`` gives the p of a test, where there is one; ``one_run`` says that
    a side is a speed of one run, see :class:`Entry`."""

    entry: Entry
    metric: str
    base: MetricRecord
    new: MetricRecord
    limits: Limits
    method: str
    test: Callable[[], float | None] | None = None
    one_run: bool = False


_Found: TypeAlias = "Finding | _Difference"


def compare_sides(base: Side, new: Side, gate: Gate) -> Report:
    """Compare everything that two sides have.

    Each test's p is multiplied by how many numbers were tested (Bonferroni), so that a report about equals has a false alarm no
    more often than ``level`` says.
    """
    judge = _Judge(base, new, gate)
    found = [item for pair in match_entries(base.entries, new.entries) for item in judge.pair(pair)]
    comparisons = sum(isinstance(item, _Difference) and item.test is not None for item in found)
    findings = (_decide(item, comparisons) if isinstance(item, _Difference) else item for item in found)
    return Report(
        base=base.name,
        new=new.name,
        findings=tuple(findings),
        comparisons=comparisons,
        ignored=judge.ignored,
        unused=tuple(index for index in range(len(gate.rules)) if index not in judge.used),
    )


class _Judge:
    """Goes through the pairs and says what can be said about each without knowing how many tests there are."""

    def __init__(self, base: Side, new: Side, gate: Gate) -> None:
        self._base, self._new, self._gate = base, new, gate
        self.ignored = 0
        self.used: set[int] = set()

    def pair(self, pair: Pair) -> Iterator[_Found]:
        base, new = pair.base, pair.new
        entry = new if base is None or (new and not new.damaged) else base
        assert entry is not None
        limits = self._limits(entry, None)
        if limits.ignore:
            self.ignored += 1
        elif base is None:
            assert new is not None
            yield Finding(entry=entry, metric=None, verdict="new", reason=new.problem or "")
            yield from self._demands(entry, new)
        elif new is None:
            yield _missing(entry, None, limits, "NEW has no such " + entry.kind)
        elif base.damaged:
            yield _incomparable(entry, None, limits, f"BASE's record is damaged: {base.problem}")
        elif not pair.same and not new.damaged:
            reason = f"not the same {entry.kind}: {differences(base, new)}"
            yield _incomparable(entry, None, limits, reason)
        elif base.problem and new.problem:
            yield Finding(entry=entry, metric=None, verdict="same", reason=f"no numbers on either side: {new.problem}")
        elif new.problem:
            yield _missing(entry, None, limits, new.problem)
        elif base.problem:
            yield Finding(entry=entry, metric=None, verdict="new", reason="it has numbers now")
            yield from self._demands(entry, new)
        else:
            for name in dict.fromkeys([*base.metrics, *new.metrics, *sorted(self._gate.demanded(entry))]):
                yield from self._metric(entry, name, base, new)

    def _demands(self, entry: Entry, new: Entry) -> Iterator[Finding]:
        """What a rule requires of an entry that only NEW has."""
        for name in sorted(self._gate.demanded(entry)):
            number = new.metrics.get(name)
            if number is None or number.value is None:
                yield _missing(entry, name, self._limits(entry, name), _why_null(number))

    def _limits(self, entry: Entry, metric: str | None, number: MetricRecord | None = None) -> Limits:
        matching = self._gate.matching(entry, metric)
        self.used.update(matching)
        return self._gate.limits(matching, number)

    def _metric(self, entry: Entry, name: str, before: Entry, after: Entry) -> Iterator[_Found]:
        base, new = before.metrics.get(name), after.metrics.get(name)
        limits = self._limits(entry, name, new or base)
        if limits.ignore:
            self.ignored += 1
        elif new is None or new.value is None:
            if (base is not None and base.value is not None) or limits.required:
                yield _missing(entry, name, limits, _why_null(new), base, new)
            else:
                yield Finding(
                    entry=entry, metric=name, verdict="same", base=base, new=new, reason="no number in either"
                )
        elif base is None or base.value is None:
            yield Finding(entry=entry, metric=name, verdict="new", base=base, new=new)
        elif reason := _why_incomparable(before, after, name, base, new):
            yield _incomparable(entry, name, limits, reason, base, new)
        elif base.value == new.value:
            yield Finding(entry=entry, metric=name, verdict="same", base=base, new=new, method="equal")
        else:
            method, test = self._test(before, after, name, base, new)
            one_run = new.unit in TIMES and (before.one_run or after.one_run)
            yield _Difference(
                entry=entry, metric=name, base=base, new=new, limits=limits, method=method, test=test, one_run=one_run
            )

    def _test(
        self, before: Entry, after: Entry, name: str, base: MetricRecord, new: MetricRecord
    ) -> tuple[str, Callable[[], float | None] | None]:
        """What can tell whether a difference is chance."""
        if is_speed(new):
            if base.samples and new.samples:
                return BY_SAMPLES, lambda: mann_whitney(base.samples, new.samples)
            return (BY_SIZE if max(base.n, new.n) <= 1 else BY_INTERVALS), None
        first = self._new.values.of(after.id, name, mean=new.value)
        second = self._base.values.of(before.id, name, mean=base.value) if first is not None else None
        if first is None or second is None or len(first) != len(second) or len(first) < 2:
            return BY_SIZE, None

        def test() -> float | None:
            comparison = compare_images(first, second)
            return comparison.p if comparison else None

        return BY_IMAGES, test


def _missing(
    entry: Entry,
    metric: str | None,
    limits: Limits,
    reason: str,
    base: MetricRecord | None = None,
    new: MetricRecord | None = None,
) -> Finding:
    effect: Effect = "none" if limits.required is False else "regression"
    return Finding(entry=entry, metric=metric, verdict="missing", effect=effect, base=base, new=new, reason=reason)


def _incomparable(
    entry: Entry,
    metric: str | None,
    limits: Limits,
    reason: str,
    base: MetricRecord | None = None,
    new: MetricRecord | None = None,
) -> Finding:
    effects: dict[bool | None, Effect] = {None: "undecided", True: "regression", False: "none"}
    return Finding(
        entry=entry,
        metric=metric,
        verdict="not comparable",
        effect=effects[limits.required],
        base=base,
        new=new,
        reason=reason,
    )


def _why_null(number: MetricRecord | None) -> str:
    return "NEW has no such metric" if number is None else f"null: {number.reason}"


def _why_incomparable(before: Entry, after: Entry, name: str, base: MetricRecord, new: MetricRecord) -> str | None:
    """Why two numbers of one name are not of one thing, or None."""
    for what in ("unit", "better", "protocol", "version"):
        if getattr(base, what) != getattr(new, what):
            return f"other definitions: {what} was {getattr(base, what)!r}, is {getattr(new, what)!r}"
    if not is_speed(new):
        return None if before.protocol == after.protocol else "other protocols"
    first, second = (entry.fingerprints.get(name, entry.fingerprint) for entry in (before, after))
    if first is None or second is None:
        return "where it was timed is unknown"
    if first != second:
        return f"other environments: {first[:8]} ({before.environment}), {second[:8]} ({after.environment})"
    return None


def _decide(found: _Difference, comparisons: int) -> Finding:
    """The verdict on a difference, once it is known how many were tested."""
    base, new = found.base, found.new
    verdict, p, reason = _verdict(found, comparisons)
    if verdict == "not comparable":
        return _incomparable(found.entry, found.metric, found.limits, reason, base, new)
    cautions = dict.fromkeys(f"caution: {number.caution}" for number in (base, new) if number.caution)
    too_noisy = verdict == "same" and _is_too_noisy(base, new, found.limits)
    return Finding(
        entry=found.entry,
        metric=found.metric,
        verdict=verdict,
        effect="regression" if verdict == "worse" else "none",
        base=base,
        new=new,
        p=p,
        method=found.method,
        reason="; ".join(part for part in (reason, TOO_NOISY if too_noisy else "", *cautions) if part),
        too_noisy=too_noisy,
    )


def _verdict(found: _Difference, comparisons: int) -> tuple[Verdict, float | None, str]:
    """The verdict, the p that led to it, and why if that is not plain."""
    base, new, limits = found.base, found.new, found.limits
    assert base.value is not None
    assert new.value is not None
    if not limits.exceeded(base.value, new.value):
        return "same", None, ""
    if is_speed(new):
        shift = shift_of(base, new)
        if not limits.exceeded(shift.base, shift.new):
            return "same", None, f"the {shift.of} moved less: a busy machine does that, code does not"
    raw = found.test() if found.test else None
    p = None if raw is None else min(raw * comparisons, 1.0)
    if p is not None and p >= limits.level:
        too_few = _too_few(base, new, limits.level / comparisons)
        return ("not comparable", p, too_few) if too_few else ("same", p, "not significant")
    if found.method == BY_INTERVALS:
        overlap = intervals_overlap(base, new)
        if overlap is None:
            return "not comparable", None, "neither samples nor an interval: nothing tells it from noise"
        if overlap:
            return "same", None, "the intervals overlap"
    cautions = [number.caution for number in (base, new) if number.caution]
    if is_speed(new) and cautions:
        return "not comparable", p, f"beyond its limit, but measured with a caution: {cautions[0]}"
    if found.one_run:
        return "not comparable", p, ONE_RUN
    if limits.better is None:
        return "changed", p, ""
    improved = (new.value > base.value) == (limits.better == "higher")
    return ("better" if improved else "worse"), p, ""


def _too_few(base: MetricRecord, new: MetricRecord, level: float) -> str | None:
    """That so few samples of a speed could not have shown any difference, or None."""
    counts = len(base.samples), len(new.samples)
    if not is_speed(new) or least_p(*counts) < level:
        return None
    return f"{counts[0]} and {counts[1]} samples are too few to tell: take {samples_needed(level)} of both"


def _is_too_noisy(base: MetricRecord, new: MetricRecord, limits: Limits) -> bool:
    """Whether enough samples of a speed vary so much that it may be beyond its limit all the same."""
    worst = [bound for sample in base.samples if (bound := limits.worst(sample)) is not None]
    if not is_speed(new) or not worst or least_p(len(worst), len(new.samples)) >= limits.level:
        return False
    return not rules_out(worst, new.samples, higher=limits.better == "higher", level=limits.level)
