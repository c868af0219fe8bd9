from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from cache.models import CachedImage, DockerHost
from cache.selectors import TagCollision
from crewship.crews.models import Crew
from crewship.domain.errors import CapacityExceeded, Conflict
from crewship.workspaces.models import Workspace
from provisioning.deletion import delete_crew
from provisioning.models import ProvisionJob, ProvisionStart
from provisioning.services import JobActive, cancel_provision, request_provision
from provisioning.states import EventKind, JobState
from tests.cast import Cast, make_crew
from tests.conftest import ImageMaker, JobMaker

pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture
def start(django_capture_on_commit_callbacks: Any) -> Callable[..., ProvisionJob]:
    def request(crew: Crew, **options: Any) -> ProvisionJob:
        with django_capture_on_commit_callbacks(execute=True):
            return request_provision(crew=crew, actor=None, **options)

    return request


def kinds(job: ProvisionJob) -> list[str]:
    return [event.kind for event in job.events.order_by("seq")]


def test_a_miss_is_pending_with_copies_of_the_texts(start: Any, cast: Cast) -> None:
    job = start(cast.crew)
    assert (job.state, job.fence, job.leader) == (JobState.PENDING, 0, None)
    assert job.config_hash == cast.crew.config_hash
    assert job.devcontainer_config == cast.crew.devcontainer_config
    assert kinds(job) == [EventKind.STATE]


def test_the_knock_waits_for_the_commit(
    cast: Cast, knocks: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        request_provision(crew=cast.crew, actor=None)
    assert knocks == []
    for callback in callbacks:  # watchers are told then, too
        callback()
    assert len(knocks) == 1


def test_a_hit_links_the_crew_and_needs_no_worker(
    start: Any, cast: Cast, make_image: ImageMaker, knocks: list[str]
) -> None:
    image = make_image(
        cast.crew.config_hash or "", age_s=100, provenance={"features": [{"ref": "x"}]}
    )
    job = start(cast.crew)
    assert (job.state, job.cache_hit, job.image_id) == (JobState.COMPLETED, True, image.image_id)
    assert job.resolved_features == [{"ref": "x"}]
    assert Crew.objects.get(pk=cast.crew.pk).cached_image == image.tag
    assert CachedImage.objects.get().last_used_at > timezone.now() - timedelta(seconds=10)
    assert kinds(job) == [EventKind.STATE, EventKind.CACHE_HIT, EventKind.STATE]
    assert knocks == []


@pytest.mark.parametrize(
    "wrong",
    [{"seen": False}, {"deleting_at": timezone.now()}],
    ids=["not-on-the-host", "being-removed"],
)
def test_an_image_that_is_not_surely_there_is_a_miss(
    wrong: dict[str, Any], start: Any, cast: Cast, make_image: ImageMaker
) -> None:
    make_image(cast.crew.config_hash or "", **wrong)
    assert start(cast.crew).state == JobState.PENDING


def test_a_tag_that_names_another_image_is_a_miss(
    start: Any, cast: Cast, make_image: ImageMaker
) -> None:
    make_image(cast.crew.config_hash or "")
    CachedImage.objects.update(image_id="sha256:another")
    assert start(cast.crew).state == JobState.PENDING


def test_an_image_of_another_host_is_a_miss(start: Any, cast: Cast, make_image: ImageMaker) -> None:
    other = DockerHost.objects.create(name="other")
    make_image(cast.crew.config_hash or "", host=other)
    assert start(cast.crew).state == JobState.PENDING


def test_a_hit_is_shared_across_workspaces(start: Any, cast: Cast, make_image: ImageMaker) -> None:
    twin = make_crew(cast.strange_workspace, "twin")
    make_image(cast.crew.config_hash or "")
    assert start(twin).cache_hit


def test_with_workspace_scope_nothing_is_shared(
    start: Any, cast: Cast, set_options: Callable[..., Any]
) -> None:
    set_options(cache_scope="workspace")
    own = make_crew(cast.workspace, "own")
    same = make_crew(cast.workspace, "same")
    foreign = make_crew(cast.strange_workspace, "foreign")
    assert own.config_hash == same.config_hash
    assert len({own.config_hash, foreign.config_hash, cast.crew.config_hash}) == 3
    start(own)
    assert start(foreign).leader is None


def test_a_rebuild_never_hits(start: Any, cast: Cast, cached: CachedImage) -> None:
    job = start(cast.crew, rebuild=True)
    assert (job.state, job.rebuild) == (JobState.PENDING, True)
    assert Crew.objects.get(pk=cast.crew.pk).cached_image is None


def test_an_equal_hash_follows_the_job_under_way(
    start: Any, cast: Cast, make_job: JobMaker, knocks: list[str]
) -> None:
    leader = make_job(cast.crew, JobState.RUNNING)
    follower = start(make_crew(cast.strange_workspace, "twin"))
    assert (follower.state, follower.leader) == (JobState.PENDING, leader)
    assert knocks == []


def test_a_third_follows_the_leader_not_the_follower(
    start: Any, cast: Cast, make_job: JobMaker
) -> None:
    leader = make_job(cast.crew)
    start(make_crew(cast.workspace, "one"))
    assert start(make_crew(cast.workspace, "two")).leader == leader


def test_a_rebuild_follows_nobody(start: Any, cast: Cast, make_job: JobMaker) -> None:
    make_job(cast.crew, JobState.RUNNING)
    assert start(make_crew(cast.workspace, "one"), rebuild=True).leader is None


def test_a_tag_of_another_hash_is_refused_and_nothing_counted(
    cast: Cast, make_image: ImageMaker
) -> None:
    make_image((cast.crew.config_hash or "")[:12] + "f" * 52)
    with pytest.raises(TagCollision):
        request_provision(crew=cast.crew, actor=None)
    assert not ProvisionStart.objects.exists()


def test_a_new_generator_gives_the_job_and_the_crew_the_new_hash(
    start: Any, cast: Cast, cached: CachedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewship.devcontainer.hashing.GENERATOR", "crewship-next")
    job = start(cast.crew)
    crew = Crew.objects.get(pk=cast.crew.pk)
    assert job.state == JobState.PENDING
    assert job.config_hash == crew.config_hash != cast.crew.config_hash
    assert crew.cached_image is None


def test_a_lost_race_for_the_one_active_job_is_409(
    cast: Cast, make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(cast.crew)
    monkeypatch.setattr("provisioning.services._refuse_if_active", lambda _crew: None)
    with pytest.raises(JobActive) as caught:
        request_provision(crew=cast.crew, actor=None)
    assert caught.value.extra["job_status"] == "pending"
    assert ProvisionJob.objects.count() == 1
    assert not ProvisionStart.objects.exists()


def test_only_accepted_starts_count(start: Any, cast: Cast, set_limits: Callable[..., Any]) -> None:
    set_limits(starts_per_minute=2)
    start(cast.crew)
    for _ in range(5):
        with pytest.raises(Conflict):
            start(cast.crew)
    start(make_crew(cast.workspace, "one"))
    with pytest.raises(CapacityExceeded):
        start(make_crew(cast.workspace, "two"))
    assert ProvisionStart.objects.count() == 2


def test_hits_count_as_starts(
    start: Any, cast: Cast, cached: CachedImage, set_limits: Callable[..., Any]
) -> None:
    set_limits(starts_per_minute=1)
    start(cast.crew)
    with pytest.raises(CapacityExceeded):
        start(cast.crew)


@pytest.mark.parametrize("passed_s", [0, 1, 12.3, 39.0])
def test_retry_after_is_true_to_the_second(
    passed_s: float, cast: Cast, set_limits: Callable[..., Any]
) -> None:
    set_limits(starts_per_minute=2)
    now = timezone.now()
    for ago in (20, 10):
        ProvisionStart.objects.create(workspace=cast.workspace, at=now - timedelta(seconds=ago))
    with time_machine.travel(now + timedelta(seconds=passed_s), tick=False):
        with pytest.raises(CapacityExceeded) as caught:
            request_provision(crew=cast.crew, actor=None)
        wait = caught.value.retry_after_s
    with (
        time_machine.travel(now + timedelta(seconds=passed_s + wait - 1.001), tick=False),
        pytest.raises(CapacityExceeded),
    ):
        request_provision(crew=cast.crew, actor=None)
    with time_machine.travel(now + timedelta(seconds=passed_s + wait), tick=False):
        assert request_provision(crew=cast.crew, actor=None).state == JobState.PENDING


def test_the_limit_is_the_workspaces_own_where_it_has_one(start: Any, cast: Cast) -> None:
    Workspace.objects.filter(pk=cast.workspace.pk).update(starts_per_minute=0)
    with pytest.raises(CapacityExceeded):
        start(cast.crew)
    start(cast.strange_crew)


def test_deleting_crews_does_not_reset_the_limit(
    start: Any, cast: Cast, set_limits: Callable[..., Any]
) -> None:
    set_limits(starts_per_minute=1)
    start(cast.crew)
    delete_crew(cast.crew)
    with pytest.raises(CapacityExceeded):
        start(make_crew(cast.workspace, "next"))


def test_a_deleted_crew_leaves_its_followers_a_leader(
    start: Any, cast: Cast, knocks: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    start(cast.crew)
    follower = start(make_crew(cast.workspace, "one"))
    with django_capture_on_commit_callbacks(execute=True):
        delete_crew(cast.crew)
    follower.refresh_from_db()
    assert (follower.state, follower.leader) == (JobState.PENDING, None)
    assert knocks[-1] == follower.pk


def test_a_cancelled_rebuild_leaves_the_marker_empty_and_the_image_to_be_hit(
    start: Any, cast: Cast, cached: CachedImage
) -> None:
    start(cast.crew, rebuild=True)
    cancel_provision(cast.crew)
    assert Crew.objects.get(pk=cast.crew.pk).cached_image is None
    assert start(cast.crew).cache_hit
