"""Which entry of BASE belongs to which entry of NEW."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from vqbench.compare.entry import Entry

__all__ = ["Pair", "match_entries"]


@dataclass(frozen=True)
class Pair:
    """An entry of BASE and one of NEW; one may be None. ``same`` says whether they are the same thing, by id."""

    base: Entry | None
    new: Entry | None
    same: bool = True


def match_entries(base: Sequence[Entry], new: Sequence[Entry]) -> list[Pair]:
    """Every entry of both sides once, in NEW's order and then what only BASE has.

    Entries of one id belong together, of one suite first. Of what is left, those that are called the same, down to the seed,
    belong together but are not the same thing: a version, a parameter or the recipe changed.
    """
    partner: dict[int, tuple[Entry, bool]] = {}
    taken: set[int] = set()
    keys: list[tuple[Callable[[Entry], Hashable], bool]] = [
        (lambda entry: (entry.id, entry.kind, entry.suite), True),
        (lambda entry: (entry.id, entry.kind), True),
        (lambda entry: (entry.kind, entry.suite, entry.labels, entry.seed), False),
        (lambda entry: (entry.kind, entry.labels, entry.seed), False),
    ]
    for key, same in keys:
        free = _by(key, (entry for entry in base if id(entry) not in taken))
        for entry in new:
            if id(entry) not in partner and (candidates := free.get(key(entry))):
                found = candidates.pop(0)
                partner[id(entry)] = found, same
                taken.add(id(found))
    pairs = [Pair(*_partner(partner.get(id(entry)), entry)) for entry in new]
    return pairs + [Pair(entry, None) for entry in base if id(entry) not in taken]


def _by(key: Callable[[Entry], Hashable], entries: Iterable[Entry]) -> dict[Hashable, list[Entry]]:
    found: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[key(entry)].append(entry)
    return found


def _partner(found: tuple[Entry, bool] | None, entry: Entry) -> tuple[Entry | None, Entry, bool]:
    return (None, entry, True) if found is None else (found[0], entry, found[1])
