"""Cancelling a running job: quick, complete, and cheap to take up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.stack.features import ref
from tests.stack.images import build_containers
from tests.stack.server import Api, wait_until

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]


@pytest.fixture
def slow_crew(api: Api, config: Config, slug: str) -> str:
    features = {ref("note"): {}, ref("slow"): {"count": "60"}}
    return api.crew(slug, config(features=features))


def test_a_cancelled_job_is_dead_within_5_s(
    api: Api, slow_crew: str, docker_client: docker.DockerClient
) -> None:
    api.provision(slow_crew)
    wait_until(lambda: "| second 2" in api.status(slow_crew).get("log_tail", []), 60, "it runs")
    job = api.jobs(slow_crew)[0]["id"]
    assert build_containers(docker_client, job)
    answer = api.http.post(f"/crews/{slow_crew}/provision/cancel")
    assert answer.json() == {"cancelled": True, "job_id": job, "status": "idle"}
    wait_until(lambda: not build_containers(docker_client, job), 5, "its container is gone")
    assert api.status(slow_crew)["status"] == "idle"
    assert api.jobs(slow_crew)[0]["state"] == "cancelled"


def test_cancelling_twice_is_no_error(api: Api, slow_crew: str) -> None:
    api.provision(slow_crew)
    first = api.http.post(f"/crews/{slow_crew}/provision/cancel").json()
    second = api.http.post(f"/crews/{slow_crew}/provision/cancel")
    assert first["cancelled"] is True
    assert second.status_code == 200
    assert second.json() == {"cancelled": False, "job_id": None, "status": "idle"}


def test_layers_that_a_cancelled_job_finished_serve_the_next_one(
    api: Api, config: Config, slug: str
) -> None:
    made = config(features={ref("note"): {"text": slug}, ref("slow"): {"count": "60"}})
    crew = api.crew(slug, made)
    api.provision(crew)
    wait_until(lambda: "Feature note installed" in api.log(crew), 60, "the first layer is there")
    api.http.post(f"/crews/{crew}/provision/cancel")
    made["features"][ref("slow")] = {"count": "1"}
    api.configure(crew, made)
    api.build(crew)
    assert "Feature note reused" in api.log(crew)
