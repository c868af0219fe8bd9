"""Acts that meet in the same rows take their locks in one order, so none is a deadlock's victim.

Workspace, then crews (by id), then jobs (a leader before its followers), then images, then agents.
Each pair runs side by side in threads on a real PostgreSQL, which finds a deadlock within 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from cache.gc import remove_marked
from cache.models import CachedImage, DockerHost
from cache.services import record_image
from crewship.crews.agents import create_agent, update_agent
from crewship.crews.models import Crew
from crewship.crews.services import update_crew
from crewship.domain.errors import CrewshipError
from crewship.domain.roles import Role
from crewship.engine.base import ImageConfig, ImageInfo
from crewship.engine.fake import FakeEngine
from crewship.workspaces.models import Membership, Workspace
from crewship.workspaces.services import change_role
from provisioning.agents.services import restart_agents
from provisioning.authoring import save_crew
from provisioning.claim import claim_next
from provisioning.deletion import Volumes, delete_crew
from provisioning.finish import complete
from provisioning.models import ProvisionJob
from provisioning.pipeline.context import BuiltImage
from provisioning.services import cancel_provision, request_provision
from provisioning.states import JobState
from tests.cast import Cast, make_cast, make_crew
from tests.conftest import JobMaker, image_id_of

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]

ROUNDS = 200
FEWER_ROUNDS = 50
CONFIG = {"image": "debian:bookworm-slim"}


@pytest.fixture
def host(postgres_db: str) -> DockerHost:
    return DockerHost.objects.create(
        name="local",
        engine_id="fake-engine",
        platform="linux/amd64",
        heartbeat_at=timezone.now() + timedelta(days=1),
    )


@pytest.fixture
def cast(host: DockerHost, set_limits: Callable[..., object]) -> Cast:
    set_limits(starts_per_minute=1_000_000)
    return make_cast()


def side_by_side(
    *acts: Callable[[], object],
    before: Callable[[], object] = lambda: None,
    rounds: int = FEWER_ROUNDS,
) -> None:
    """All acts at once, ``rounds`` times. A refusal (CrewshipError) is an answer; what the database
    refuses is raised."""
    start = Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        start.wait(60)  # so each act has a thread of its own
        with suppress(CrewshipError):
            act()

    def all_at_once(acts: Sequence[Callable[[], object]]) -> None:
        for future in [pool.submit(run, act) for act in acts]:
            future.result(120)

    with ThreadPoolExecutor(len(acts)) as pool:
        try:
            for _ in range(rounds):
                before()
                all_at_once(acts)
        finally:
            start.reset()
            all_at_once([lambda: connection.close()] * len(acts))


def end_all_jobs() -> None:
    ProvisionJob.objects.exclude(state=JobState.COMPLETED).update(
        state=JobState.CANCELLED, leader=None
    )


def an_image(name: str) -> ImageInfo:
    return ImageInfo(
        image_id=image_id_of(name),
        tags=(),
        repo_digests=(),
        platform="linux/amd64",
        size_bytes=1,
        created_at="2026-01-01T00:00:00Z",
        layer_count=1,
        config=ImageConfig(),
    )


def built(job: ProvisionJob) -> BuiltImage:
    image = an_image(job.pk)
    return BuiltImage(
        image=image,
        tag=f"crewship-cache:{job.config_hash[:12]}",
        parent_image_id="",
        resolved_features=(),
        requirements={},
        provenance={},
    )


def test_a_start_beside_a_changed_crew(cast: Cast) -> None:
    """The one locks the workspace and then the crew; so must the other, join or no join."""
    crew = make_crew(cast.workspace, "contended", CONFIG)
    side_by_side(
        lambda: request_provision(crew=crew, actor=None),
        lambda: update_crew(crew, {"name": "Renamed"}),
        before=end_all_jobs,
        rounds=ROUNDS,
    )


def test_a_start_beside_changed_and_restarted_agents(cast: Cast) -> None:
    crew = make_crew(cast.workspace, "contended", CONFIG)
    agent = create_agent(crew, {"name": "one", "command": "true"}, actor_role=Role.OWNER)
    side_by_side(
        lambda: request_provision(crew=crew, actor=None),
        lambda: update_agent(agent, {"command": "false"}, actor_role=Role.OWNER),
        lambda: restart_agents(crew),
        before=end_all_jobs,
        rounds=ROUNDS,
    )


def test_a_cancel_beside_a_claim(cast: Cast, make_job: JobMaker, host: DockerHost) -> None:
    crew = make_crew(cast.workspace, "contended", CONFIG)

    def pending() -> None:
        end_all_jobs()
        make_job(crew)

    side_by_side(
        lambda: cancel_provision(crew),
        lambda: claim_next(host.pk, "w:1"),
        before=pending,
        rounds=ROUNDS,
    )


def test_two_saves_with_auto_provision(cast: Cast) -> None:
    crew = make_crew(cast.workspace, "contended", CONFIG, auto_provision=True)
    numbers = iter(range(10_000))

    def save() -> None:
        text = f'{{"image": "debian:bookworm-slim", "containerEnv": {{"N": "{next(numbers)}"}}}}'
        save_crew(crew, {"devcontainer_config": text}, actor=None)

    side_by_side(save, save, lambda: cancel_provision(crew))


def test_an_end_with_followers_beside_cancels_and_a_change(cast: Cast, make_job: JobMaker) -> None:
    leads = make_crew(cast.workspace, "leads", CONFIG)
    follows = make_crew(cast.strange_workspace, "follows", CONFIG)
    jobs: list[ProvisionJob] = []

    def running() -> None:
        end_all_jobs()
        leader = make_job(leads, JobState.RUNNING)
        make_job(follows, leader=leader)
        jobs[:] = [leader]

    side_by_side(
        lambda: complete(jobs[0], built(jobs[0])),
        lambda: cancel_provision(follows),
        lambda: cancel_provision(leads),
        lambda: update_crew(follows, {"name": "Renamed"}),
        before=running,
    )


def test_a_claim_of_a_follower_beside_its_leaders_end_and_cancel(
    cast: Cast, make_job: JobMaker, host: DockerHost
) -> None:
    """Who waits in the line of another workspace leads when its own turn comes first."""
    leads = make_crew(cast.workspace, "leads", CONFIG)
    others = [make_crew(cast.strange_workspace, f"follows-{n}", CONFIG) for n in range(3)]

    def pending() -> None:
        end_all_jobs()
        leader = make_job(leads)
        for crew in others:
            make_job(crew, leader=leader)
        # Its turn comes first.
        Workspace.objects.filter(pk=cast.workspace.pk).update(last_turn_at=timezone.now())
        Workspace.objects.filter(pk=cast.strange_workspace.pk).update(last_turn_at=None)

    def claim_and_complete() -> None:
        job = claim_next(host.pk, "w:1")
        if job is not None:
            complete(job, built(job))

    side_by_side(
        claim_and_complete,
        claim_and_complete,
        lambda: cancel_provision(leads),
        lambda: cancel_provision(others[0]),
        before=pending,
        rounds=ROUNDS,
    )
    led = ProvisionJob.objects.filter(crew__in=others, state=JobState.COMPLETED, fence__gt=0)
    assert led.exists()  # else nothing was shown


def test_a_deletion_beside_its_jobs_end(cast: Cast, make_job: JobMaker) -> None:
    crews: list[Crew] = []
    jobs: list[ProvisionJob] = []
    numbers = iter(range(10_000))

    def running() -> None:
        crew = make_crew(cast.workspace, f"gone-{next(numbers)}", CONFIG)
        create_agent(crew, {"name": "one", "command": "true"}, actor_role=Role.OWNER)
        crews[:], jobs[:] = [crew], [make_job(crew, JobState.RUNNING, refresh=True)]

    side_by_side(
        lambda: delete_crew(crews[0], volumes=Volumes.DELETE),
        lambda: complete(jobs[0], built(jobs[0])),
        before=running,
    )


def test_two_owners_who_lower_each_other(cast: Cast) -> None:
    others = [cast.person(name).membership for name in ("alice", "vera")]

    def owners() -> None:
        Membership.objects.filter(pk__in=[m.pk for m in others]).update(role=Role.OWNER)

    def lower(index: int) -> None:
        change_role(
            membership=Membership.objects.get(pk=others[index].pk),
            role=Role.MEMBER,
            actor_role=Role.OWNER,
        )

    side_by_side(lambda: lower(0), lambda: lower(1), before=owners)
    assert Membership.objects.filter(workspace=cast.workspace, role=Role.OWNER).exists()


def test_a_removed_image_beside_a_new_one_of_its_tag(cast: Cast, host: DockerHost) -> None:
    crew = make_crew(cast.workspace, "contended", CONFIG)
    image = an_image("x")

    def record() -> CachedImage:
        return record_image(
            host=host,
            config_hash=crew.config_hash or "",
            image=image,
            parent_image_id="",
            requirements={},
            provenance={},
            job_id="job_x",
        )

    marked: list[Any] = []

    def mark() -> None:
        marked[:] = [record()]
        CachedImage.objects.update(deleting_at=timezone.now())

    engine = FakeEngine()
    side_by_side(record, lambda: remove_marked(engine, marked[0]), before=mark)
