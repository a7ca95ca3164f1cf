"""What is compared: a cell or a benchmark, with its numbers and what must agree for them to be comparable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vqbench.results import BenchmarkRecord, BrokenRecord, CellRecord, ComponentRecord, MetricRecord, TimingRecord
from vqbench.results.speeds import count_threads, describe_setting, speed_metric, speed_name, speed_name_in_setting

__all__ = ["Entry", "Kind", "differences", "entry_of_benchmark", "entry_of_broken", "entry_of_cell"]

Kind: TypeAlias = Literal["cell", "benchmark"]
MOST_DIFFERENCES = 4


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cell or benchmark of one side.

    Attributes:
        id: two entries of one id are the same thing.
        suite: the folder it lies in.
        labels: what people call it: labels of quantizer, backbone and dataset, or a benchmark's name.
        called: what a gate's globs are matched with, by their key (``quantizer``, …, ``benchmark``).
        seed: of a cell.
        identity: what the id stands for.
        protocol: quality is comparable only within one.
        fingerprint: speed is comparable only within one; None where it is unknown.
        environment: the same for people.
        one_run: its speeds are of one run on a CPU. A machine may be slow for as long as that, for reasons that nothing on it
            shows, and no sample of the run tells it from slow code.
        metrics: its numbers; speeds in other settings than the headline's have the setting in their names.
        fingerprints: by the names of those numbers that have one of their own: dtype and compilation are part of it.
        problem: why it has none.
        damaged: its file cannot be read, so that nothing else is known.
    """

    id: str
    kind: Kind
    suite: str
    labels: tuple[str, ...]
    called: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seed: int | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = ""
    fingerprint: str | None = None
    environment: str = "unknown"
    one_run: bool = False
    metrics: Mapping[str, MetricRecord] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    damaged: bool = False

    @property
    def title(self) -> str:
        """One line for people."""
        return " × ".join(self.labels) + ("" if self.seed is None else f", seed {self.seed}")


def entry_of_cell(record: CellRecord) -> Entry:
    parts = {"quantizer": record.quantizer, "backbone": record.backbone, "dataset": record.dataset}
    environment, failure = record.environment, record.failure
    timings = _beside_headline(record)
    return Entry(
        id=record.cell_id,
        kind="cell",
        suite=record.suite,
        labels=tuple(part.label for part in parts.values()),
        called={key: _names(part) for key, part in parts.items()},
        seed=record.seed,
        identity={key: part.model_dump(exclude={"label", "distribution"}) for key, part in parts.items()}
        | {"revision": record.revision, "image_size": record.image_size, "recipe": record.recipe}
        | {"protocol": record.protocol_details},
        protocol=record.protocol,
        fingerprint=environment.fingerprint if environment else None,
        environment=f"{environment.device}, {count_threads(environment.threads)}" if environment else "unknown",
        one_run=not _is_on_gpu(record) and all(timing.passes == 1 for timing in record.timings),
        metrics=record.metrics | {name: speed_metric(timing) for name, timing in timings.items()},
        fingerprints={name: timing.fingerprint for name, timing in timings.items()},
        problem=f"{record.status} at stage {failure.stage}: {failure.message}" if failure else None,
    )


def _is_on_gpu(record: CellRecord) -> bool:
    return record.environment is not None and record.environment.cuda is not None


def _beside_headline(record: CellRecord) -> dict[str, TimingRecord]:
    """The timings that are not among the metrics. The largest batch stays apart: what fits may differ from run to run."""
    headlines = {(name, metric.protocol) for name, metric in record.metrics.items()}
    return {
        speed_name_in_setting(timing): timing
        for timing in record.timings
        if not timing.largest and (speed_name(timing), describe_setting(timing)) not in headlines
    }


def entry_of_benchmark(record: BenchmarkRecord) -> Entry:
    return Entry(
        id=record.benchmark_id,
        kind="benchmark",
        suite=record.suite,
        labels=(record.name,),
        called={"benchmark": (record.name, record.name.rpartition("::")[2])},
        fingerprint=record.fingerprint,
        environment=", ".join(record.machine.values()),
        metrics={"seconds": record.seconds},
    )


def entry_of_broken(broken: BrokenRecord) -> Entry:
    """What a file that is damaged still says: its id, which is its name."""
    identifier, _, rest = broken.path.name.partition(".")
    return Entry(
        id=identifier,
        kind="benchmark" if rest.startswith("benchmark") else "cell",
        suite=broken.path.parent.name,
        labels=(broken.path.name,),
        problem=broken.reason,
        damaged=True,
    )


def _names(component: ComponentRecord) -> tuple[str, ...]:
    return component.label, component.id.rpartition("/")[2], component.id


def differences(base: Entry, new: Entry) -> str:
    """In what two entries differ that have the same labels, in a line."""
    before, after = dict(_flat(base.identity)), dict(_flat(new.identity))
    keys = [key for key in before | after if before.get(key) != after.get(key)]
    told = [f"{key} {before.get(key, 'absent')} → {after.get(key, 'absent')}" for key in keys[:MOST_DIFFERENCES]]
    more = len(keys) - len(told)
    return "; ".join(told) + (f"; {more} more" if more else "") or "identity differs"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(item)[:80]
