"""``make bench-api``: the API and the admin at two sizes, in one process, without a network.

Writes ``benchmarks/results/api.json``. ``…_vs_…`` are ratios: of medians, and where the name
says p95, of the 95th percentiles.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.installation import Installation, prepared_environment
from benchmarks.timing import Compared, compare

RESULTS = Path(__file__).parent / "results" / "api.json"
RUNS = 40


def main() -> None:
    results: dict[str, Any] = {}  # Any: JSON
    with prepared_environment() as data:
        _api(data, results)
        _admin(data, results)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(RESULTS.read_text())


def _api(data: Path, results: dict[str, Any]) -> None:
    few, many = Installation(data, 100, 100), Installation(data, 10_000, 10_000)

    def get(installation: Installation, path: str) -> Callable[[], None]:
        from django.test import Client

        client = Client(headers={"authorization": f"Bearer {installation.token}"})
        url = f"/api/v1{path.format(crew=installation.crew_id)}"

        def ask() -> None:
            installation.use()
            answer = client.get(url)
            assert answer.status_code == 200, answer.content

        return ask

    status = "/crews/{crew}/provision"
    results["status_vs_bare"] = compare(get(few, status), get(few, "/workspaces"), RUNS).as_dict()
    noisy = Installation(data, 100, 101)
    noisy.fill_log()
    results["status_noisy_vs_quiet"] = compare(get(noisy, status), get(few, status), RUNS).as_dict()
    for name, path in {"status": status, "crews": "/crews", "images": "/cache/images"}.items():
        found = compare(get(many, path), get(few, path), RUNS)
        results[f"{name}_10000_vs_100"] = found.as_dict()


def _admin(data: Path, results: dict[str, Any]) -> None:
    few, many = Installation(data, 100, 1_000), Installation(data, 100, 100_000)
    pages = {
        "jobs": "provisioning/provisionjob/",
        "jobs_last_page": "provisioning/provisionjob/?p=20",
        "jobs_failed": "provisioning/provisionjob/?state__exact=failed",
        "jobs_of_a_crew": "provisioning/provisionjob/?q=crew-7",
        "jobs_by_id": "provisioning/provisionjob/?q=job_00000000000000000000000077",
        "jobs_of_none": "provisioning/provisionjob/?q=nothing",
        "crews": "crews/crew/",
        "workspaces": "workspaces/workspace/",
        "users": "workspaces/user/",
        "tokens": "workspaces/apitoken/",
        "agents": "crews/agent/",
        "images": "cache/cachedimage/",
        "layers": "cache/layer/",
        "hosts": "cache/dockerhost/",
    }
    for name, path in pages.items():
        found = compare(_page(many, path), _page(few, path), RUNS)
        results[f"admin_{name}_100000_vs_1000_p95"] = _p95(found)


def _p95(found: Compared) -> dict[str, Any]:
    return {**found.as_dict(), "ratio": found.p95_ratio()}


def _page(installation: Installation, path: str) -> Callable[[], None]:
    from django.test import Client

    installation.use()
    client = Client()
    client.force_login(installation.operator)

    def ask() -> None:
        installation.use()
        answer = client.get(f"/admin/{path}")
        assert answer.status_code == 200, (path, answer.status_code)

    return ask


if __name__ == "__main__":
    main()
