"""What running a cell leaves behind, and where: the only thing that passes from running to reading."""

from vqbench.results.benchmarks import BenchmarkRecord, read_benchmark, read_benchmarks, write_benchmarks
from vqbench.results.passes import merge_passes
from vqbench.results.pytest_benchmark import import_pytest_benchmarks
from vqbench.results.record import (
    CellRecord,
    CodeUsageRecord,
    ComponentRecord,
    EnvironmentRecord,
    FailureRecord,
    LevelRecord,
    MetricRecord,
    Status,
    TrainingRecord,
)
from vqbench.results.store import BrokenRecord, ResultsFolder, read_record, read_records
from vqbench.results.timing import MachineRecord, TimingRecord
from vqbench.results.values import StoredValues

__all__ = [
    "BenchmarkRecord",
    "BrokenRecord",
    "CellRecord",
    "CodeUsageRecord",
    "ComponentRecord",
    "EnvironmentRecord",
    "FailureRecord",
    "LevelRecord",
    "MachineRecord",
    "MetricRecord",
    "ResultsFolder",
    "Status",
    "StoredValues",
    "TimingRecord",
    "TrainingRecord",
    "import_pytest_benchmarks",
    "merge_passes",
    "read_benchmark",
    "read_benchmarks",
    "read_record",
    "read_records",
    "write_benchmarks",
]
