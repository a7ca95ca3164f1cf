"""Two result sets compared: what got better or worse, disappeared or cannot be compared, and what a gate says to that.

Imports no torch; numpy and scipy only where something is tested.
"""

from vqbench.compare.entry import Entry
from vqbench.compare.gate import Gate, Rule, load_gate
from vqbench.compare.judge import compare_sides
from vqbench.compare.render import FORMATS, Format, render
from vqbench.compare.report import VERDICTS, Effect, Finding, Report, Verdict
from vqbench.compare.sides import Side, open_side

__all__ = [
    "FORMATS",
    "VERDICTS",
    "Effect",
    "Entry",
    "Finding",
    "Format",
    "Gate",
    "Report",
    "Rule",
    "Side",
    "Verdict",
    "compare_sides",
    "load_gate",
    "open_side",
    "render",
]
