"""What the formats made for reading share: lines of text, the ones that matter first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vqbench.compare.gate import is_speed
from vqbench.compare.report import VERDICTS, Finding, Report, Verdict
from vqbench.leaderboard.notation import NOTHING, clean, clip, without_interval
from vqbench.results import MetricRecord

__all__ = ["HEADERS", "Group", "changed", "counts", "explain", "groups", "line", "tested", "title"]

HEADERS = ("verdict", "what", "metric", "BASE", "NEW", "change", "p", "why")
LONGEST_TITLE = 120
LONGEST_METRIC = 90
LONGEST_REASON = 160
MOST_NAMES = 3
DECIDED: tuple[Verdict, ...] = ("worse", "better", "changed")
UNLISTED: tuple[Verdict, ...] = ("same", "not comparable")


@dataclass(frozen=True)
class Group:
    """Findings that have one reason, with the first few of their names."""

    reason: str
    count: int
    names: str


def changed(report: Report) -> list[Finding]:
    """All that is not the same and comparable: regressions first, then by how much a verdict matters."""
    kept = (finding for finding in report.findings if finding.verdict not in UNLISTED)
    return sorted(kept, key=lambda finding: (finding.effect != "regression", VERDICTS.index(finding.verdict)))


def groups(findings: Iterable[Finding]) -> list[Group]:
    """Findings by reason, largest first."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        name = title(finding) + (f": {clean(finding.metric)}" if finding.metric else "")
        found.setdefault(_reason(finding), []).append(name)
    made = [Group(reason or "no difference that counts", len(names), _some(names)) for reason, names in found.items()]
    return sorted(made, key=lambda group: -group.count)


def line(finding: Finding) -> tuple[str, ...]:
    """A finding under :data:`HEADERS`."""
    metric = finding.metric or ""
    verdict = finding.verdict.upper() if finding.effect == "regression" else finding.verdict
    numbers = (_number(metric, finding.base), _number(metric, finding.new))
    p = "" if finding.p is None else f"{finding.p:.2g}"
    why = _reason(finding) or (finding.method if finding.verdict in DECIDED else "")
    return verdict, title(finding), clip(clean(metric), LONGEST_METRIC), *numbers, _change(finding), p, why


def explain(finding: Finding) -> str:
    """A finding in a sentence."""
    verdict, _, metric, base, new, change, _, reason = line(finding)
    what = f"{metric} " if metric else ""
    numbers = f": {base} → {new} ({change})" if change else ""
    return f"{what}{verdict.lower()}{numbers}" + (f": {reason}" if reason else "")


def title(finding: Finding) -> str:
    return clip(clean(finding.entry.title), LONGEST_TITLE)


def counts(report: Report) -> str:
    """How many findings of each verdict there are."""
    told = [f"{count} {verdict}" for verdict, count in report.counts.items() if count]
    return ", ".join(told + ([f"{report.ignored} ignored"] if report.ignored else [])) or "nothing"


def tested(report: Report) -> str:
    """What p means here."""
    if not any(finding.p is not None for finding in report.findings):
        return ""
    return f"p is corrected for the number of tests, {report.comparisons} (Bonferroni)."


def _reason(finding: Finding) -> str:
    return clip(clean(finding.reason), LONGEST_REASON)


def _number(name: str, number: MetricRecord | None) -> str:
    return without_interval(name, number) if number else ""


def _change(finding: Finding) -> str:
    difference = finding.difference
    if finding.verdict == "not comparable":
        return ""
    if difference is None or finding.new is None:
        return NOTHING if finding.metric and finding.verdict == "missing" else ""
    if is_speed(finding.new) and finding.ratio is not None:
        return f"{(finding.ratio - 1) * 100:+.1f} %"
    unit = finding.new.unit if finding.new.unit not in ("", "1") else ""
    return f"{difference:+.3g} {clip(clean(unit), 20)}".rstrip()


def _some(names: Sequence[str] | Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    more = len(names) - MOST_NAMES
    return "; ".join(names[:MOST_NAMES]) + (f"; and {more} more" if more > 0 else "")
