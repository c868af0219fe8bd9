"""``make bench``: a real installation against the reference builder, on the same engine.

Both install the same bundled features on the same base image. Runs alternate; a scenario's ratio
is ours by the reference's, of the medians. Writes ``benchmarks/results/latest.json``.
``second_host`` is missing as long as hosts do not share images over a registry.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.reference import BUNDLED, Reference
from benchmarks.timing import Compared, seconds
from catalogs.pack import pack_features
from tests.stack.features import NAMESPACE
from tests.stack.server import Api, running_stack

RESULTS = Path(__file__).parent / "results" / "latest.json"
POLL_S = 0.02
LIMIT_S = 600
Features = dict[str, Any]
_numbers = itertools.count(1)


class Ours:
    """Crews of one running installation."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def crew(self, features: Features) -> str:
        return self._api.crew(f"crew-{next(_numbers)}", _config(features))

    def change(self, crew: str, features: Features) -> None:
        self._api.configure(crew, _config(features))

    def build(self, crew: str, verb: str = "provision") -> None:
        """From the request to ``completed``, as a client sees it."""
        self._api.provision(crew, verb)
        limit = time.monotonic() + LIMIT_S
        while (status := self._api.status(crew))["status"] != "completed":
            if status["status"] == "failed" or time.monotonic() > limit:
                raise RuntimeError(self._api.log(crew) + str(status.get("error")))
            time.sleep(POLL_S)

    def build_all(self, crews: list[str]) -> None:
        with ThreadPoolExecutor(len(crews)) as pool:
            list(pool.map(self.build, crews))


def _config(features: Features) -> dict[str, Any]:
    return {
        "image": "debian:bookworm-slim",
        "features": {f"{NAMESPACE}/{name}:1": options for name, options in features.items()},
    }


Pair = tuple[Callable[[], object], Callable[[], object]]
Scenario = Callable[[Ours, Reference, int], Pair]
# A port that no earlier run used makes the last feature new; what is below stays as it was.
PREFIX: Features = {"base-tools": {}}


def _with_port(number: int) -> Features:
    return {**PREFIX, "sshd": {"port": str(20_000 + number)}}


def cold(ours: Ours, reference: Reference, run: int) -> Pair:
    """Nothing that was built before is used."""
    features = _with_port(1)
    crew = ours.crew(features)
    return (
        lambda: ours.build(crew, "rebuild"),
        lambda: reference.build("cold", features, cache=False),
    )


def common_prefix_new_config(ours: Ours, reference: Reference, run: int) -> Pair:
    """A new crew, whose first feature some other crew has."""
    features = _with_port(100 + run)
    crew = ours.crew(features)
    return lambda: ours.build(crew), lambda: reference.build(f"prefix-{run}", features)


def feature_added(ours: Ours, reference: Reference, run: int) -> Pair:
    """A crew with an image gets one more feature."""
    crew = ours.crew(PREFIX)
    ours.build(crew)
    reference.build(f"added-{run}", PREFIX)
    features = _with_port(200 + run)
    ours.change(crew, features)
    return lambda: ours.build(crew), lambda: reference.build(f"added-{run}", features)


def option_changed(ours: Ours, reference: Reference, run: int) -> Pair:
    """The last feature of a crew with an image gets another option."""
    crew = ours.crew(_with_port(1))
    ours.build(crew)
    reference.build("option", _with_port(1))
    features = _with_port(300 + run)
    ours.change(crew, features)
    return lambda: ours.build(crew), lambda: reference.build("option", features)


def unchanged(ours: Ours, reference: Reference, run: int) -> Pair:
    """Asked again for what is there."""
    features = _with_port(1)
    crew = ours.crew(features)
    ours.build(crew)
    reference.build("unchanged", features)
    return lambda: ours.build(crew), lambda: reference.build("unchanged", features)


def same_config_20_crews(ours: Ours, reference: Reference, run: int) -> Pair:
    """Twenty crews want the same new image at once; the reference builds twenty folders."""
    features = _with_port(400 + run)
    crews = [ours.crew(features) for _ in range(20)]

    def twenty() -> None:
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            list(pool.map(lambda n: reference.build(f"same-{n}", features), range(20)))

    return lambda: ours.build_all(crews), twenty


def common_prefix_5(ours: Ours, reference: Reference, run: int) -> Pair:
    """Five crews at once, equal but for their last feature's option."""
    wanted = [_with_port(500 + run * 5 + n) for n in range(5)]
    crews = [ours.crew(features) for features in wanted]

    def five() -> None:
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda n: reference.build(f"five-{n}", wanted[n]), range(5)))

    return lambda: ours.build_all(crews), five


SCENARIOS: dict[str, Scenario] = {
    made.__name__: made
    for made in (
        cold,
        common_prefix_new_config,
        feature_added,
        option_changed,
        unchanged,
        same_config_20_crews,
        common_prefix_5,
    )
}


def measure(scenario: Scenario, ours: Ours, reference: Reference, runs: int) -> Compared:
    """Each run is prepared, then timed; who begins changes from run to run."""
    mine, theirs = [], []
    for run in range(runs):
        act, other = scenario(ours, reference, run)
        if run % 2:
            theirs.append(seconds(other))
            mine.append(seconds(act))
        else:
            mine.append(seconds(act))
            theirs.append(seconds(other))
    return Compared(tuple(mine), tuple(theirs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS))
    wanted = parser.parse_args()
    results: dict[str, Any] = {}  # Any: JSON
    with tempfile.TemporaryDirectory(prefix="crewship-bench-") as name:
        folder = Path(name)
        pack_features(BUNDLED, folder / "layout", NAMESPACE)
        settings = {"CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={folder / 'layout'}"}
        reference = Reference(folder / "reference")
        try:
            with running_stack(folder / "data", settings) as stack:
                ours = Ours(stack.bootstrap())
                for scenario in wanted.scenarios:
                    found = measure(SCENARIOS[scenario], ours, reference, wanted.runs)
                    results[scenario] = found.as_dict()
                    sys.stdout.write(f"{scenario}: {results[scenario]}\n")
                    sys.stdout.flush()
        finally:
            reference.clean()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
