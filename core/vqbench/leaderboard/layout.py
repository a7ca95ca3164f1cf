"""What all formats made for reading share: headings, columns, cells and remarks as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from vqbench.leaderboard.boards import Column, Group, Leaderboard
from vqbench.leaderboard.notation import ARROWS, NOTHING, clean, clip, count, with_interval, without_interval
from vqbench.leaderboard.ranking import RankedRow
from vqbench.leaderboard.rows import BESIDE_SPEED, Row, SlotUsage
from vqbench.results import BrokenRecord, CellRecord, EnvironmentRecord
from vqbench.results.speeds import SPEED_FACTOR, count_threads
from vqbench.significance import LEVEL, Method

__all__ = [
    "CAUTION",
    "TextColumn",
    "definitions",
    "describe_environment",
    "explain_damage",
    "explain_failure",
    "heading",
    "legend",
    "remarks",
    "text_columns",
]

TESTS: dict[Method, str] = {
    "paired bootstrap over images": "paired bootstrap over images where both have one seed (it speaks of these trained "
    "checkpoints; other seeds may differ more)",
    "Welch's t of intervals": "Welch's t of the two intervals where both have one seed and no values of each image are at hand "
    "(cautious; it speaks of these trained checkpoints)",
    "Student's t, errors added": "Student's t with the errors of both added for distances between distributions where "
    "both have one seed and no values of each image are at hand (cautious)",
    "Student's t, one seed against several": "Student's t of one seed against several",
    "Welch's t over seeds": "Welch's t over seeds",
}
DEAD = "‡"
ESTIMATE = "~"
FRONT = "front"
CAUTION = "†"
MOST_SLOTS = 4
MOST_NAMES = 3
LONGEST_NAME = 60
LONGEST_REASON = 300


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """A column as text. ``brief`` are shorter cells for a narrow place; ``essential`` columns are never left out."""

    title: str
    cells: tuple[str, ...]
    brief: tuple[str, ...] | None = None
    essential: bool = False
    numeric: bool = True
    details: tuple[str, ...] = field(default=(), repr=False)  # the full numbers, where a format can show them


def heading(group: Group) -> str:
    """What the group is: all that its rows have in common."""
    bpp = "" if group.bits_per_pixel is None else f" ({group.bits_per_pixel:.6g} bits/pixel)"
    parts = [
        f"{clean(group.dataset)} {group.image_size}×{group.image_size}",
        group.rate.text + bpp,
        f"{group.images_seen} images seen",
        f"protocol {group.protocol[:8]}",
    ]
    if group.board == "throughput":
        parts.append(describe_environment(group.environment))
        parts += [f"batch {group.batch_size}"] if group.batch_size else []
    if any(ranked.rank for ranked in group.rows):
        assert group.ranked_by
        parts.append(f"ranked by {clean(group.ranked_by.title)}")
    return " · ".join(parts)


def describe_environment(environment: EnvironmentRecord | None) -> str:
    """Where it ran: what speed depends on."""
    if environment is None:
        return "environment unknown, so not ranked"
    torch = environment.packages.get("torch", "unknown")
    device, dtype = clean(environment.device), clean(environment.dtype)
    how = [count_threads(environment.threads), dtype]
    how += ["compiled"] * environment.compile + ["channels last"] * environment.channels_last
    libraries = f"torch {clean(torch)}" + (f", driver {clean(environment.driver)}" if environment.driver else "")
    return f"{device}, {', '.join(how)}, {libraries} (environment {environment.fingerprint[:8]})"


def text_columns(group: Group) -> list[TextColumn]:
    """The group as columns of text, most important first."""
    rows = group.rows
    columns = [
        TextColumn(title="#", cells=tuple(_rank(row) for row in rows), essential=True),
        TextColumn(title="quantizer", cells=tuple(_quantizer(row) for row in rows), essential=True, numeric=False),
        TextColumn(
            title="backbone",
            cells=tuple(clip(clean(r.row.backbone.label), LONGEST_NAME) for r in rows),
            essential=True,
            numeric=False,
        ),
    ]
    for column in group.columns:
        if column.name == "entropy_bits_per_image" and group.rate.bits is not None:
            nominal = tuple(f"{group.rate.bits:.6g}" for _ in rows)  # what entropy and coded bits are read beside
            columns.append(TextColumn(title="nominal_bits_per_image", cells=nominal))
        columns.append(_metric(column, rows, essential=column == group.ranked_by))
        if column.name == BESIDE_SPEED and any(group.pareto):
            fronts = tuple(FRONT if on_front else "" for on_front in group.pareto)
            columns.append(TextColumn(title="Pareto", cells=fronts, numeric=False))
    if group.ranked_by:
        columns.insert(4, TextColumn(title="n", cells=tuple(_n(group.ranked_by, r.row) for r in rows)))
    if any(r.row.usage for r in rows):
        cells = tuple(_codes_in_use(r.row.usage) for r in rows)
        columns.append(TextColumn(title="codes in use", cells=cells, numeric=False))
        tokens = tuple(", ".join(dict.fromkeys(str(slot.tokens) for slot in r.row.usage)) or NOTHING for r in rows)
        columns.append(TextColumn(title="tokens/slot", cells=tokens))
    seeds = tuple(_seeds(r.row) for r in rows)
    if set(seeds) != {"1"}:
        columns.insert(5 if group.ranked_by else 3, TextColumn(title="seeds", cells=seeds))
    return columns


def _rank(row: RankedRow) -> str:
    return NOTHING if row.rank is None else str(row.rank)


def _quantizer(row: RankedRow) -> str:
    label = clip(clean(row.row.quantizer.label), LONGEST_NAME)
    return f"{label} ({row.variant})" if row.variant else label


def _metric(column: Column, rows: Sequence[RankedRow], *, essential: bool) -> TextColumn:
    numbers = [column.of(row.row) for row in rows]
    unit = "" if _says_its_unit(column) else f" [{clean(column.unit)}]"
    mark = f" {CAUTION}" if column.caution else ""
    return TextColumn(
        title=f"{clean(column.title)}{unit}{mark} {ARROWS[column.better]}".rstrip(),
        cells=tuple(with_interval(column.name, number) for number in numbers),
        brief=tuple(without_interval(column.name, number) for number in numbers),
        essential=essential,
        details=tuple(
            ""
            if number is None
            else clean(number.reason)
            if number.value is None
            else f"{number.value!r}, 95 % interval {number.low!r} to {number.high!r}"
            + (f" ({clean(number.interval)})" if number.interval else "")
            + f", n = {number.n} {number.over}"
            + (f"; {clean(number.caution)}" if number.caution else "")
            for number in numbers
        ),
    )


def _says_its_unit(column: Column) -> bool:
    return column.unit in ("", "1", "fraction") or column.unit.replace("/s", "_per_second") in column.name


def _n(column: Column, row: Row) -> str:
    number = column.of(row)
    if number is None or number.value is None:
        return NOTHING
    return f"{number.n} seeds" if number.over == "seeds" else str(number.n)


def _seeds(row: Row) -> str:
    have = len(row.seeds)
    planned = have + len({record.seed for record in row.missing} - set(row.seeds))
    return str(have) if planned == have else f"{have}/{planned}"


def _codes_in_use(usage: Iterable[SlotUsage]) -> str:
    """``l0 212/256 · l1 198(~205)/256``; the slots of a level that share a codebook size are put together."""
    parts = []
    for level, of_level in groupby(usage, key=lambda slot: slot.level):
        for size, of_size in groupby(of_level, key=lambda slot: slot.codebook_size):
            slots = list(of_size)
            if len(slots) <= MOST_SLOTS:
                parts.append(f"l{level} {','.join(map(_of_slot, slots))}/{size}")
            else:
                dead = sum(slot.dead for slot in slots)
                parts.append(
                    f"l{level} {_span([slot.active for slot in slots])}{_estimates(slots)}/{size} in {len(slots)} slots"
                    + (f", {dead} dead{DEAD}" if dead else "")
                )
    return " · ".join(parts) or NOTHING


def _of_slot(slot: SlotUsage) -> str:
    return count(slot.active) + _estimates([slot]) + (DEAD if slot.dead else "")


def _estimates(slots: Sequence[SlotUsage]) -> str:
    """What a larger test set would show, where that is another number."""
    if not any(_is_estimated_larger(slot) for slot in slots):
        return ""
    return f"({ESTIMATE}{_span([round(slot.active if slot.estimate is None else slot.estimate) for slot in slots])})"


def _is_estimated_larger(slot: SlotUsage) -> bool:
    return slot.estimate is not None and round(slot.estimate) > round(slot.active)


def _span(values: Sequence[float]) -> str:
    least, most = count(min(values)), count(max(values))
    return least if least == most else f"{least}–{most}"


def remarks(group: Group) -> list[str]:
    """What a reader must know about the numbers of a group. A note on all rows alike is said beside their quality only."""
    missing: dict[str, list[Row]] = {}
    cautions: dict[str, list[Row]] = {}
    for column in group.columns:
        for ranked in group.rows:
            number = column.of(ranked.row)
            if number is not None and number.value is None:
                missing.setdefault(f"no {clean(column.title)}: {clean(number.reason)}", []).append(ranked.row)
            elif number is not None and number.caution:
                text = f"{CAUTION} {clean(column.title)}: {clean(number.caution)}"
                cautions.setdefault(text, []).append(ranked.row)
    notes: dict[str, list[Row]] = {}
    for ranked in group.rows:
        for note in ranked.row.notes:
            notes.setdefault(clean(note), []).append(ranked.row)
    if group.board != "quality":
        notes = {text: rows for text, rows in notes.items() if len(rows) < len(group.rows)}
    return [
        clip(text, LONGEST_REASON) + (f" ({_names(rows)})" if len(rows) < len(group.rows) else "")
        for text, rows in [*cautions.items(), *missing.items(), *_without_quality(group).items(), *notes.items()]
    ]


def _without_quality(group: Group) -> dict[str, list[Row]]:
    """Rows of a throughput board that have no quality beside their speed, by why."""
    why: dict[str, list[Row]] = {}
    if group.board == "throughput":
        for ranked in group.rows:
            if ranked.row.untrained:
                why.setdefault("untrained, so no quality beside speed", []).append(ranked.row)
            elif BESIDE_SPEED not in ranked.row.metrics:
                why.setdefault(f"no quality beside speed: {BESIDE_SPEED} was not measured", []).append(ranked.row)
    return why


def legend(leaderboard: Leaderboard) -> str:
    """How to read ranks and intervals; empty where there is nothing to read."""
    rows = [ranked for board in leaderboard.boards for group in board.groups for ranked in group.rows]
    if not rows:
        return ""
    parts = ["± and [ ] are 95 % intervals over n measurements (such as test images) of one seed"]
    if any(len(ranked.row.seeds) > 1 for ranked in rows):
        parts.append("where n counts seeds, Student's 95 % interval of the mean over the seeds")
    slots = [slot for ranked in rows for slot in ranked.row.usage]
    if any(map(_is_estimated_larger, slots)):
        parts.append(f"({ESTIMATE}n): a larger test set would show n codes or more (Chao's lower bound)")
    if any(slot.dead for slot in slots):
        parts.append(f"{DEAD}: random codes in that slot hardly raise the error, so the decoder makes nothing of it")
    if any(any(group.pareto) for board in leaderboard.boards for group in board.groups):
        parts.append(f"{FRONT}: no row is as fast and better, or as good and faster, by the numbers as they stand")
    text = "; ".join(parts) + "."
    if methods := {ranked.comparison.method for ranked in rows if ranked.comparison}:
        tests = ", ".join(how for method, how in TESTS.items() if method in methods)
        text += (
            f" Rows share a rank unless they differ significantly from its first row ({LEVEL * 100:g} % level, Bonferroni): "
            f"{tests}."
        )
    if any(board.name == "throughput" and board.groups for board in leaderboard.boards):
        text += (
            f" Speeds share a rank, too, if they are within a factor of {SPEED_FACTOR:g}: two runs may differ by that."
        )
    return text


def _names(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(clean(row.name) for row in rows))
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def definitions(groups: Iterable[Group]) -> list[str]:
    """Which of the definitions of its name each metric is."""
    lines = {
        f"{clean(column.title)}: {clean(column.protocol)}": None
        for group in groups
        for column in sorted(group.columns, key=lambda column: column.title)
        if column.protocol
    }
    return list(lines)


def explain_failure(record: CellRecord) -> tuple[str, str]:
    """A cell without numbers: its name, and why it has none in one line."""
    name = f"{record.quantizer.label} × {record.backbone.label} · {record.dataset.label} · seed {record.seed}"
    assert record.failure is not None
    failure = record.failure
    message = clip(" ".join(failure.message.split()), LONGEST_REASON)
    return clean(name), clean(f"{record.status} at {failure.stage}: {failure.kind}: {message}")


def explain_damage(broken: BrokenRecord) -> str:
    """Which file is no record, and why, in one line."""
    named = str(broken.path) in broken.reason
    return clean(broken.reason if named else f"{broken.path}: {broken.reason}")
