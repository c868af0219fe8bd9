"""Timing what is compared: alternating, so that a slow moment of the machine hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of ours and of what it is measured against, run by run."""

    ours: tuple[float, ...]
    reference: tuple[float, ...]

    def as_dict(self) -> dict[str, float | int]:
        """The ratio of the medians; ``min`` and ``max`` of the ratios of neighbouring runs."""
        ratios = [a / b for a, b in zip(self.ours, self.reference, strict=True)]
        ours, reference = statistics.median(self.ours), statistics.median(self.reference)
        return {
            "ratio": round(ours / reference, 3),
            "min": round(min(ratios), 3),
            "max": round(max(ratios), 3),
            "ours_s": round(ours, 5),
            "reference_s": round(reference, 5),
            "runs": len(ratios),
        }

    def p95_ratio(self) -> float:
        return round(p95(self.ours) / p95(self.reference), 3)


def p95(times: tuple[float, ...]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def compare(ours: Callable[[], object], reference: Callable[[], object], runs: int) -> Compared:
    """Each once for warmth, then by turns."""
    ours()
    reference()
    pairs = [(seconds(ours), seconds(reference)) for _ in range(runs)]
    return Compared(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))
