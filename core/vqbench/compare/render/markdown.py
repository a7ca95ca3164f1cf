"""For a pull request's comment (GitHub-flavoured Markdown), within the 65,536 characters that one may have."""

from __future__ import annotations

from vqbench.compare.render.layout import HEADERS, changed, counts, groups, line, tested
from vqbench.compare.report import Report
from vqbench.leaderboard.notation import clean, clip
from vqbench.leaderboard.render.markdown import escape

__all__ = ["render_markdown"]

MOST_ROWS = 40
MOST_GROUPS = 20
RULES = (":--", ":--", ":--", "--:", "--:", "--:", "--:", ":--")
LONGEST_NAME = 100


def render_markdown(report: Report) -> str:
    """What changed as a table; what cannot be compared and what is the same folded away, by reason. Texts are escaped."""
    names = (escape(clip(clean(name), LONGEST_NAME)) for name in (report.base, report.new))
    blocks = [f"### vqbench compare: {report.conclusion}", " → ".join(names) + f": {escape(counts(report))}."]
    if rows := changed(report):
        lines = [HEADERS, RULES, *(tuple(map(escape, line(finding))) for finding in rows[:MOST_ROWS])]
        blocks.append("\n".join("| " + " | ".join(cells) + " |" for cells in lines))
        if (more := len(rows) - MOST_ROWS) > 0:
            blocks.append(f"… and {more} more.")
    if said := tested(report):
        blocks.append(said)
    folded = {"not comparable": report.incomparable, "too noisy to tell": report.too_noisy, "same": report.same}
    for heading, findings in folded.items():
        if findings:
            told = groups(findings)[:MOST_GROUPS]
            bullets = [f"- {group.count}: {escape(f'{group.reason} ({group.names})')}" for group in told]
            blocks += [f"<details><summary>{len(findings)} {heading}</summary>", "\n".join(bullets), "</details>"]
    return "\n\n".join(blocks) + "\n"
