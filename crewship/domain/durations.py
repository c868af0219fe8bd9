"""How long something took, in words: one form for the terminal and the dashboard."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """As exact as is useful: ``0.4 s``, ``41 s``, ``3 min 07 s``, ``1 h 02 min``."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
