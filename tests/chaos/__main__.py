"""``python -m tests.chaos [--run short|all] [WORDS]``: the chaos table as Markdown.

Without ``--run`` the results of earlier runs are shown, the newest of each row. WORDS choose rows
as pytest's ``-k`` does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from tests.chaos.outcome import PROMISED_S, RESULTS
from tests.chaos.test_weather import ROWS

HEAD = (
    "| what happens | the job | state right after | ended after | attempts | work done twice |",
    "| --- | --- | --- | --- | --- | --- |",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--run", choices=("short", "all"))
    parser.add_argument("words", nargs="?", default="")
    given = parser.parse_args()
    code = _run(given.run, given.words) if given.run else 0
    print("\n".join(table()))
    return code


def _run(what: str, words: str) -> int:
    marks = "chaos and not long" if what == "short" else "chaos"
    argv = [sys.executable, "-m", "pytest", "-q", "-m", marks, "-p", "no:randomly"]
    argv += ["tests/chaos/test_weather.py", *(["-k", words] if words else [])]
    return subprocess.run(argv).returncode


def table() -> list[str]:
    """Rows in the order of the suite; a row that was not run yet is not there."""
    found: dict[str, dict[str, Any]] = {}
    if RESULTS.exists():
        for line in RESULTS.read_text().splitlines():
            found[json.loads(line)["row"]] = json.loads(line)
    return [*HEAD, *(_line(found[row.name]) for row in ROWS if row.name in found)]


def _line(result: dict[str, Any]) -> str:
    right = f"{result['right_after_s']:.1f} s"
    if result["right_after_s"] > PROMISED_S:
        right = f"**{right}**"
    return (
        f"| {result['row']} | {result['ended']} | {right} | {result['ended_after_s']:.0f} s"
        f" | {result['attempts']} | {result['lost_s']:.1f} s |"
    )


if __name__ == "__main__":
    sys.exit(main())
