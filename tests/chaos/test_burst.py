"""50 simultaneous starts of one crew over two web processes: exactly one is accepted."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.stack.features import ref
from tests.stack.server import Api, Stack, free_port, wait_until

pytestmark = pytest.mark.chaos
Config = Callable[..., dict[str, Any]]
POSTS = 50
PATIENCE_S = 180  # a process that starts on a busy machine


@pytest.fixture(scope="module")
def second_url(stack: Stack) -> Iterator[str]:
    """Another web process on the same database and Redis."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "crewship.asgi:application"]
    with (stack.data_dir / "second-web.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--log-level", "warning"],
            env={**stack.environment, "DJANGO_SETTINGS_MODULE": "crewship.settings"},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx.get(f"{url}/readyz").is_success
        except httpx.HTTPError:
            return False

    wait_until(is_up, PATIENCE_S, "the second web process")
    yield url
    process.terminate()
    process.wait(PATIENCE_S)


def _post_at_once(api: Api, crew: str, urls: list[str]) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {api.token}"}

    def post(number: int) -> httpx.Response:
        url = f"{urls[number % len(urls)]}/api/v1/crews/{crew}/provision"
        return httpx.post(url, headers=headers, timeout=PATIENCE_S)

    with ThreadPoolExecutor(POSTS) as pool:
        return list(pool.map(post, range(POSTS)))


def _starts(stack: Stack) -> int:
    """Ids only grow, and the sweep prunes old rows: count by the last id."""
    [(seq,)] = stack.rows(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence"
        " WHERE name = 'provisioning_provisionstart'"
    )
    return int(seq)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [4, pytest.param(20, marks=pytest.mark.long)])
def test_of_50_simultaneous_posts_one_is_accepted(
    api: Api, stack: Stack, config: Config, second_url: str, rounds: int
) -> None:
    crew = api.crew(f"burst-{rounds}", config())
    for _ in range(rounds):
        env = {"ROUND": uuid.uuid4().hex}
        api.configure(crew, config(containerEnv=env, features={ref("slow"): {"count": "120"}}))
        starts, jobs = _starts(stack), len(_job_ids(stack, crew))
        answers = _post_at_once(api, crew, [stack.url, second_url])
        assert Counter(a.status_code for a in answers) == {202: 1, 409: POSTS - 1}
        refused = [a.json() for a in answers if a.status_code == 409]
        assert {r["job_status"] for r in refused} <= {"pending", "running"}
        assert len(_job_ids(stack, crew)) == jobs + 1
        assert _starts(stack) == starts + 1
        assert api.http.post(f"/crews/{crew}/provision/cancel").json()["cancelled"] is True
    for log in (*stack.data_dir.glob("logs/*.log"), stack.data_dir / "second-web.log"):
        assert "database is locked" not in log.read_text(), log


def _job_ids(stack: Stack, crew: str) -> list[Any]:
    return stack.rows("SELECT id FROM provisioning_provisionjob WHERE crew_id = ?", crew)
