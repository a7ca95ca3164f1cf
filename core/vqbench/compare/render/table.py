"""For a terminal."""

from __future__ import annotations

from tabulate import tabulate

from vqbench.compare.render.layout import HEADERS, changed, counts, groups, line, tested
from vqbench.compare.report import Report
from vqbench.leaderboard.notation import clean

__all__ = ["render_table"]

MOST_ROWS = 200


def render_table(report: Report) -> str:
    """What changed, one line each; then what cannot be compared, by reason; at last the conclusion."""
    rows = changed(report)
    blocks = []
    if rows:
        alignment = ["left", "left", "left", "right", "right", "right", "right", "left"]
        lines = [line(finding) for finding in rows[:MOST_ROWS]]
        table = tabulate(lines, headers=HEADERS, tablefmt="simple", disable_numparse=True, colalign=alignment)
        more = len(rows) - MOST_ROWS
        blocks.append(table + (f"\n… and {more} more; --format json lists all" if more > 0 else ""))
    for heading, findings in (("NOT COMPARABLE", report.incomparable), ("TOO NOISY TO TELL", report.too_noisy)):
        if findings:
            told = (f"  {group.count}: {group.reason} ({group.names})" for group in groups(findings))
            blocks.append("\n".join([heading, *told]))
    blocks.append(
        f"{clean(report.base)} → {clean(report.new)}: {counts(report)}. {tested(report)}".rstrip()
        + f"\n{report.conclusion}"
    )
    return "\n\n".join(blocks) + "\n"
