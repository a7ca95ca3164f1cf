"""How fast a tokenizer is: stages in settings, timed with what else the machine is doing on record."""

from vqbench.worker.timing.measure import time_tokenizer
from vqbench.worker.timing.memory import keep_freed_memory
from vqbench.worker.timing.metrics import throughput_metrics

__all__ = ["keep_freed_memory", "throughput_metrics", "time_tokenizer"]
