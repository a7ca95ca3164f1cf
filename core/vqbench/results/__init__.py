"""What running a cell leaves behind, and where: the only thing that passes from running to reading."""

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
from vqbench.results.store import BrokenRecord, ResultsFolder, read_records
from vqbench.results.timing import MachineRecord, TimingRecord
from vqbench.results.values import StoredValues

__all__ = [
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
    "read_records",
]
