"""What vqbench wants to reach, line by line, and whether it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.peers.cases import Case, Operation
from benchmarks.peers.measure import Measurement
from benchmarks.peers.ours import EXACT_ENTROPY, OURS
from benchmarks.peers.packages import FAISS, SCIKIT_LEARN, VECTOR_QUANTIZE, VECTOR_QUANTIZE_MAPS
from benchmarks.peers.plain import DENSE, DENSE_ROWS

__all__ = ["GOALS", "Goal", "Verdict", "judge", "smaller"]

MEGABYTE = 1e6
ROWS = 65_536
PEER_ROWS = 8_192
"""Of vector-quantize-pytorch with a large codebook: with all rows it takes 16 GB."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line.

    Attributes:
        case: what is compared.
        ours: which of our contenders.
        peer: against whom.
        device: where the goal holds; elsewhere the line is measured if it can be, but not judged.
        faster: peer's time over ours, at least.
        memory: peer's extra memory over ours, at least.
        extra_mb: our extra memory, at most.
        floor_share: the floor over our time, at least.
        peer_rows: rows that the peer is measured at unless everything is measured in full.
        only_there: the line makes no sense on another device.
    """

    case: Case
    peer: str
    ours: str = OURS.name
    device: Literal["cpu", "cuda"] = "cpu"
    faster: float | None = None
    memory: float | None = None
    extra_mb: float | None = None
    floor_share: float | None = None
    peer_rows: int | None = None
    only_there: bool = False

    @property
    def wanted(self) -> str:
        """The goal in words."""
        parts = [f"≥ {self.faster:g}× faster"] if self.faster not in (None, 1.0) else []
        parts += ["not slower"] if self.faster == 1.0 else []
        parts += [f"≤ 1/{self.memory:g} of the memory"] if self.memory else []
        parts += [f"≤ {self.extra_mb:g} MB extra"] if self.extra_mb else []
        parts += [f"≥ {self.floor_share:.0%} of the floor's speed"] if self.floor_share else []
        return ", ".join(parts)


def _vq(codewords: int, dim: int) -> Case:
    return Case(operation="vq", rows=ROWS, dim=dim, codewords=codewords)


def _search(codewords: int, dim: int) -> Case:
    return Case(operation="search", rows=ROWS, dim=dim, codewords=codewords)


GQ = Case(operation="gq", rows=4_096, dim=16, codewords=65_536)
FSQ = Case(operation="fsq", rows=ROWS, dim=5, levels=(8, 8, 8, 6, 5), training=True)
LFQ = Case(operation="lfq", rows=ROWS, dim=10, training=True)
BSQ = Case(operation="bsq", rows=ROWS, dim=10, training=True)
OTHER_SEARCHES: tuple[tuple[Operation, int], ...] = (("cosine", 1), ("inner", 1), ("residual", 4))  # and stages
PAIRED = [(1_024, 8), (1_024, 64), (1_024, 256), (16_384, 64)]  # of codewords and dimensions

GOALS: tuple[Goal, ...] = (
    *(
        Goal(case=_vq(1_024, dim), peer=VECTOR_QUANTIZE.name, faster=faster, memory=20)
        for dim, faster in ((8, 20), (64, 15), (256, 6))
    ),
    *(
        Goal(case=_vq(16_384, dim), peer=VECTOR_QUANTIZE.name, faster=faster, memory=100, peer_rows=PEER_ROWS)
        for dim, faster in ((8, 12), (64, 10), (256, 5))
    ),
    Goal(case=_vq(65_536, 64), peer=VECTOR_QUANTIZE.name, extra_mb=64),
    Goal(case=GQ, peer=DENSE.name, faster=60, peer_rows=DENSE_ROWS),
    Goal(case=Case(operation="rq", rows=ROWS, dim=64, codewords=1_024, stages=4), peer=VECTOR_QUANTIZE.name, faster=15),
    *(
        Goal(case=case, ours=ours, peer=peer, faster=faster)
        for case, ours, faster in (
            (FSQ, OURS.name, 1.5),
            (LFQ, OURS.name, 7),
            (LFQ, EXACT_ENTROPY.name, 7),
            (BSQ, OURS.name, 1.5),
            (BSQ, EXACT_ENTROPY.name, 1.5),
        )
        for peer in (VECTOR_QUANTIZE.name, VECTOR_QUANTIZE_MAPS.name)
    ),
    *(
        Goal(case=_search(codewords, dim), peer=peer, faster=1)
        for codewords, dim in PAIRED
        for peer in (FAISS.name, SCIKIT_LEARN.name)
    ),
    *(
        Goal(case=Case(operation=kind, rows=ROWS, dim=64, codewords=1_024, stages=stages), peer=FAISS.name, faster=1)
        for kind, stages in OTHER_SEARCHES
    ),
    Goal(
        case=replace(GQ, rows=262_144),
        peer="dense kernel + argmax",
        device="cuda",
        only_there=True,
        faster=8,
        memory=100,
        floor_share=0.5,
    ),
)


def smaller(goal: Goal) -> Goal:
    """A goal's comparison at a small size, to see that everything runs: its numbers say nothing."""
    rows = goal.case.rows // 16
    case = replace(goal.case, rows=rows, codewords=min(goal.case.codewords, 2_048))
    return replace(
        goal,
        case=case,
        faster=None,
        memory=None,
        extra_mb=None,
        floor_share=None,
        peer_rows=goal.peer_rows and rows // 2,
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a goal stands.

    Attributes:
        faster: peer's median time over ours.
        memory: peer's extra memory over ours, each taken for 1 MB at least: less cannot be told apart.
        extra_mb: our extra memory.
        floor_share: the floor over our time.
        reached: whether all that is wanted is; None where it is not judged.
        missed: what is not, and by how much; or why it is not judged.
    """

    faster: float | None
    memory: float | None
    extra_mb: float | None
    floor_share: float | None
    reached: bool | None
    missed: str


def judge(goal: Goal, results: Mapping[str, Measurement], floor: float, device: str) -> Verdict:
    """Compare what was measured of a goal's case, by contender, with what is wanted."""
    ours, peer = results.get(goal.ours), results.get(goal.peer)
    ours_s, peer_s = (result.median_seconds if result else None for result in (ours, peer))
    ours_b, peer_b = (result.case_bytes if result else None for result in (ours, peer))
    faster = peer_s / ours_s if ours_s and peer_s else None
    memory = None if ours_b is None or peer_b is None else max(peer_b, MEGABYTE) / max(ours_b, MEGABYTE)
    extra_mb = None if ours_b is None else ours_b / MEGABYTE
    share = floor / ours_s if ours_s else None
    pairs = {
        "time": (goal.faster, faster),
        "memory": (goal.memory, memory),
        "share of the floor's speed": (goal.floor_share, share),
        "extra memory": (extra_mb, goal.extra_mb) if goal.extra_mb else (None, None),  # a limit: at most
    }
    missed = [f"{what} {want / have:.2g}× off" for what, (want, have) in pairs.items() if want and have and have < want]
    unknown = [what for what, (want, have) in pairs.items() if want and have is None]
    reached: bool | None = not missed
    if ours is None or ours.status != "ok":
        reached, missed = False, [ours.reason if ours else "not measured"]
    elif not ours.right:
        reached, missed = False, ["our answers are wrong"]
    elif device != goal.device or not goal.wanted:
        reached, missed = None, []
    elif unknown:
        reached, missed = False if missed else None, [*missed, f"{' and '.join(unknown)} not comparable"]
    return Verdict(
        faster=faster,
        memory=memory,
        extra_mb=extra_mb,
        floor_share=share,
        reached=reached,
        missed=", ".join(missed),
    )
