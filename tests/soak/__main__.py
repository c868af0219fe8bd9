"""``python -m tests.soak [--scale 0.1] [--minutes 60]``: runs the soak and prints its table."""

from __future__ import annotations

import argparse
import sys

from tests.soak.soak import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of the work")
    parser.add_argument("--minutes", type=float, default=90.0, help="no round begins later")
    given = parser.parse_args()
    report = run(given.scale, given.minutes * 60, lambda line: print(line, flush=True))
    print(report.table())
    for problem in report.problems():
        print(problem, file=sys.stderr)
    return 1 if report.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
