"""How times and foreign texts are shown on a terminal."""

from __future__ import annotations

__all__ = ["duration", "first_line", "printable"]


def duration(seconds: float) -> str:
    """Seconds in the two units that matter: ``0.8 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str, limit: int = 200) -> str:
    """A text from a component on one line, without control characters that would drive the terminal."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(text: str, limit: int = 300) -> str:
    """The first line of a text that says something."""
    return printable(next((line for line in text.splitlines() if line.strip()), ""), limit)
