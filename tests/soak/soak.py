"""The soak: rounds of work, a measurement after each, a table and a verdict at the end."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.soak.sizes import file_bytes, memory_kb
from tests.soak.work import Amount, Work
from tests.stack.server import PROJECT, Stack, running_stack

GROWTH = 0.10  # of a process from the first tenth of the work to its end
SLACK_KB = 2048  # of a small process: pages come and go
DATABASE_BYTES_A_BUILD = 40_000  # 13.5 KB was seen, indexes and audit rows included
DATABASE_BYTES_A_HIT = 4_000  # a job's row and its events
DATABASE_BYTES = 30_000_000  # an empty one, its write-ahead log and the agents' logs
LOG_BYTES = 10_000_000  # one file of a process's log
RESULTS = PROJECT / ".cache" / "soak.json"
SETTINGS = {
    "CREWSHIP_CACHE_GC_AUTODELETE": "1",
    "CREWSHIP_CACHE_GC_INTERVAL": "20",
    "CREWSHIP_CACHE_GC_FLOOR": "10",
    "CREWSHIP_CACHE_SCOPE": "workspace",
    "CREWSHIP_AGENT_GRACE": "3",
    "CREWSHIP_AGENT_MEMORY_MB": "64",
    "CREWSHIP_AGENT_SUBNETS": "10.219.0.0/16",
}


@dataclass(frozen=True, slots=True)
class Measured:
    round: int
    seconds: float
    memory_kb: dict[str, int]
    file_bytes: dict[str, int]


@dataclass(slots=True)
class Report:
    amount: Amount
    measured: list[Measured] = field(default_factory=list)

    @property
    def done(self) -> float:
        """The part of the work that was done; less than 1 when the time was up."""
        return self.measured[-1].round / self.amount.rounds

    def problems(self) -> list[str]:
        """What grew beyond its bound; nothing when all is well."""
        first, last = self.measured[0], self.measured[-1]
        found = [
            f"{name} grew from {kb} to {last.memory_kb[name]} KB"
            for name, kb in first.memory_kb.items()
            if name in last.memory_kb
            and last.memory_kb[name] > max(kb * (1 + GROWTH), kb + SLACK_KB)
        ]
        found += [f"{name} is gone" for name in first.memory_kb if name not in last.memory_kb]
        bounds = {"database": self._database_bound(), "largest log": LOG_BYTES}
        for name, bound in bounds.items():
            if (size := last.file_bytes[name]) > bound:
                found.append(f"{name}: {size} bytes, the bound is {bound:.0f}")
        return found

    def _database_bound(self) -> float:
        builds, hits = self.amount.builds * self.done, self.amount.hits * self.done
        return DATABASE_BYTES + builds * DATABASE_BYTES_A_BUILD + hits * DATABASE_BYTES_A_HIT

    def table(self) -> str:
        first, last = self.measured[0], self.measured[-1]
        work = self.amount
        lines = [
            f"{work.builds} builds, {work.hits} hits, {work.agents} agents restarted"
            f" {work.restarts} times; {self.done:.0%} done in {last.seconds:.0f} s",
            "",
            "| process | PSS after the first tenth | at the end | change |",
            "| --- | --- | --- | --- |",
        ]
        for name, kb in sorted(first.memory_kb.items()):
            now = last.memory_kb.get(name, 0)
            lines.append(
                f"| {name} | {kb / 1024:.1f} MB | {now / 1024:.1f} MB | {now / kb - 1:+.1%} |"
            )
        lines += ["", "| files | after the first tenth | at the end |", "| --- | --- | --- |"]
        for name, size in first.file_bytes.items():
            lines.append(f"| {name} | {size / 1e6:.2f} MB | {last.file_bytes[name] / 1e6:.2f} MB |")
        return "\n".join(lines)


def run(scale: float, longest_s: float, say: Callable[[str], None]) -> Report:
    """The work at that scale, ended after a round when the time is up. What was measured so far is
    in ``RESULTS`` after each round."""
    report = Report(Amount().scaled(scale))
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        settings = {**SETTINGS, "CREWSHIP_HOST": f"soak-{os.getpid()}"}
        with running_stack(Path(folder) / "data", settings) as stack:
            work = Work(stack.bootstrap(), report.amount)
            work.prepare()
            _rounds(stack, work, report, longest_s, say)
    return report


def _rounds(
    stack: Stack, work: Work, report: Report, longest_s: float, say: Callable[[str], None]
) -> None:
    began = time.monotonic()
    for number in range(1, report.amount.rounds + 1):
        work.round()
        seconds = time.monotonic() - began
        measured = Measured(number, seconds, memory_kb(stack), file_bytes(stack))
        report.measured.append(measured)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(asdict(report), indent=1))
        memory = ", ".join(f"{n} {kb / 1024:.0f}" for n, kb in sorted(measured.memory_kb.items()))
        say(f"round {number} of {report.amount.rounds}, {seconds:.0f} s: {memory} MB")
        if seconds > longest_s:
            say("the time is up")
            return
