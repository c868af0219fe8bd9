"""CONTRACT.md's status table for provision, rebuild and restart-agents: every row, and for every
two rows that can be true at once, that the earlier check answers and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost
from crewship.domain.roles import Role
from crewship.workspaces.models import Membership, Workspace
from provisioning.models import ProvisionStart
from provisioning.states import JobState
from tests.cast import Cast
from tests.conftest import Api, JobMaker
from tests.problem import problem
from tests.rows import all_rows


@dataclass
class Attempt:
    """A request that would be accepted, until faults change it or the rows it meets."""

    cast: Cast
    api: Api
    make_job: JobMaker
    person: str = "mona"
    crew_id: str = ""
    query: dict[str, str] = field(default_factory=dict)

    def send(self, verb: str) -> Any:
        client = self.api.nobody if self.person == "nobody" else getattr(self.api, self.person)
        crew_id = self.crew_id or self.cast.crew.pk
        return client.post(f"/crews/{crew_id}/{verb}", query_params=self.query)


@dataclass(frozen=True)
class Fault:
    rank: int  # its place in CONTRACT.md's order of checks
    status: int
    code: str
    happen: Callable[[Attempt], None]


def nobody_asks(attempt: Attempt) -> None:
    attempt.person = "nobody"


def workspace_is_foreign(attempt: Attempt) -> None:
    attempt.query["workspace_id"] = attempt.cast.strange_workspace.slug


def workspace_is_unclear(attempt: Attempt) -> None:
    second = Workspace.objects.create(slug="second", name="Second")
    user = attempt.cast.person("bob" if attempt.person == "bob" else "mona").user
    Membership.objects.create(workspace=second, user=user, role=Role.OWNER)


def id_is_malformed(attempt: Attempt) -> None:
    attempt.crew_id = "crw_not.an.id"


def crew_is_foreign(attempt: Attempt) -> None:
    attempt.crew_id = attempt.cast.strange_crew.pk


def role_is_low(attempt: Attempt) -> None:
    attempt.person = "bob"


def crew_has_no_config(attempt: Attempt) -> None:
    attempt.cast.crew.devcontainer_config = None
    attempt.cast.crew.save()


def publisher_is_refused(attempt: Attempt) -> None:
    config = {"image": "debian:bookworm-slim", "features": {"ghcr.io/evil/features/x:1": {}}}
    attempt.cast.crew.devcontainer_config = json.dumps(config)
    attempt.cast.crew.save()


def host_is_silent(attempt: Attempt) -> None:
    DockerHost.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=6))


def job_is_active(attempt: Attempt) -> None:
    attempt.make_job(attempt.cast.crew, JobState.RUNNING)


def starts_are_used_up(attempt: Attempt) -> None:
    Workspace.objects.filter(pk=attempt.cast.workspace.pk).update(starts_per_minute=1)
    ProvisionStart.objects.create(workspace=attempt.cast.workspace)


FAULTS = {
    "anonymous": Fault(0, 401, "not_authenticated", nobody_asks),
    "foreign-workspace": Fault(1, 404, "workspace_not_found", workspace_is_foreign),
    "unclear-workspace": Fault(1, 400, "workspace_required", workspace_is_unclear),
    "malformed-id": Fault(2, 400, "invalid_id", id_is_malformed),
    "foreign-crew": Fault(3, 404, "crew_not_found", crew_is_foreign),
    "low-role": Fault(4, 403, "forbidden", role_is_low),
    "no-config": Fault(5, 400, "no_devcontainer_config", crew_has_no_config),
    "publisher": Fault(5, 400, "publisher_not_allowed", publisher_is_refused),
    "silent-host": Fault(6, 503, "docker_host_lost", host_is_silent),
    "active-job": Fault(7, 409, "job_active", job_is_active),
    "rate": Fault(8, 429, "rate_limited", starts_are_used_up),
}
BOTH_DECIDE_THE_ID = {"malformed-id", "foreign-crew"}
PAIRS = [
    (first, second)
    for first, one in FAULTS.items()
    for second, two in FAULTS.items()
    if one.rank < two.rank and {first, second} != BOTH_DECIDE_THE_ID
]
OF_A_RESTART = {name for name in FAULTS if FAULTS[name].rank not in {5, 7, 8}}


@pytest.fixture
def attempt(cast: Cast, api: Api, make_job: JobMaker, cached: CachedImage) -> Attempt:
    return Attempt(cast, api, make_job)


def refused(attempt: Attempt, verb: str, fault: Fault, knocks: list[str]) -> dict[str, Any]:
    before = all_rows()
    body = problem(attempt.send(verb), fault.status, fault.code)
    assert all_rows() == before
    assert knocks == []
    return body


@pytest.mark.parametrize("verb", ["provision", "rebuild", "refresh-image"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_answered_and_changes_nothing(
    name: str, verb: str, attempt: Attempt, knocks: list[str]
) -> None:
    FAULTS[name].happen(attempt)
    refused(attempt, verb, FAULTS[name], knocks)


@pytest.mark.parametrize("verb", ["provision", "rebuild"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_faults_the_earlier_check_answers(
    first: str, second: str, verb: str, attempt: Attempt, knocks: list[str]
) -> None:
    FAULTS[second].happen(attempt)
    FAULTS[first].happen(attempt)
    refused(attempt, verb, FAULTS[first], knocks)


@pytest.mark.parametrize("name", sorted(OF_A_RESTART))
def test_a_fault_of_a_restart_is_answered_and_changes_nothing(
    name: str, attempt: Attempt, knocks: list[str]
) -> None:
    FAULTS[name].happen(attempt)
    refused(attempt, "restart-agents", FAULTS[name], knocks)


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if {*pair} <= OF_A_RESTART])
def test_of_two_faults_of_a_restart_the_earlier_check_answers(
    first: str, second: str, attempt: Attempt, knocks: list[str]
) -> None:
    FAULTS[second].happen(attempt)
    FAULTS[first].happen(attempt)
    refused(attempt, "restart-agents", FAULTS[first], knocks)


def test_without_any_host_it_is_503(attempt: Attempt, knocks: list[str]) -> None:
    CachedImage.objects.all().delete()
    DockerHost.objects.all().delete()
    refused(attempt, "provision", Fault(6, 503, "no_docker_host", nobody_asks), knocks)


def test_401_names_the_scheme(attempt: Attempt) -> None:
    attempt.person = "nobody"
    assert attempt.send("provision")["WWW-Authenticate"] == "Bearer"


def test_409_says_what_the_job_is_doing(attempt: Attempt) -> None:
    job_is_active(attempt)
    assert problem(attempt.send("rebuild"), 409)["job_status"] == "running"


def test_429_says_when_to_come_back(attempt: Attempt) -> None:
    starts_are_used_up(attempt)
    answer = attempt.send("provision")
    assert 58 <= int(answer["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "crew_id", ["crw_", "crw_" + "a" * 65, "CRW_abc", "agt_abc", "abc", "crw_a%20b", "crw_ä"]
)
def test_what_can_be_no_crew_id_is_400(crew_id: str, attempt: Attempt) -> None:
    attempt.crew_id = crew_id
    problem(attempt.send("provision"), 400, "invalid_id")


@pytest.mark.parametrize("crew_id", ["crw_a", "crw_" + "Z" * 64, "crw_a_b-c"])
def test_a_well_formed_id_of_no_crew_is_404(crew_id: str, attempt: Attempt) -> None:
    attempt.crew_id = crew_id
    problem(attempt.send("provision"), 404, "crew_not_found")
