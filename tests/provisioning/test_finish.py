"""How a job ends: the image is recorded, the crew linked if its config is still the job's."""

from __future__ import annotations

import pytest

from cache.models import CachedImage, HostImage
from cache.selectors import cache_tag, find_hit
from crewship.crews.models import Crew
from crewship.crews.services import update_crew
from crewship.domain.errors import BuildStepFailed
from crewship.engine.base import ImageConfig, ImageInfo
from provisioning.finish import complete, fail
from provisioning.models import ProvisionJob
from provisioning.pipeline.context import BuiltImage
from provisioning.states import JobState
from provisioning.transitions import StaleJobState
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker, image_id_of
from tests.rows import all_rows


def built_for(job: ProvisionJob, name: str = "new") -> BuiltImage:
    info = ImageInfo(
        image_id=image_id_of(name),
        tags=(),
        repo_digests=(),
        platform="linux/amd64",
        size_bytes=123,
        created_at="",
        layer_count=3,
        config=ImageConfig(),
    )
    return BuiltImage(
        image=info,
        tag=cache_tag(job.config_hash),
        parent_image_id="sha256:tip",
        requirements={"init": True},
        provenance={"features": [{"ref": "r"}]},
        resolved_features=[{"ref": "r"}],
    )


@pytest.fixture
def job(cast: Cast, make_job: JobMaker) -> ProvisionJob:
    return make_job(cast.crew, JobState.RUNNING)


def test_a_completed_job_links_its_crew(job: ProvisionJob, cast: Cast) -> None:
    assert complete(job, built_for(job)) is None
    crew = Crew.objects.get(pk=cast.crew.pk)
    image = CachedImage.objects.get()
    assert job.state == JobState.COMPLETED
    assert job.finished_at is not None
    assert crew.cached_image == image.tag == cache_tag(job.config_hash)
    assert (image.config_hash, image.image_id) == (job.config_hash, image_id_of("new"))
    assert (image.parent_image_id, image.size_bytes, image.job_id) == ("sha256:tip", 123, job.pk)
    assert (image.requirements, job.resolved_features) == ({"init": True}, [{"ref": "r"}])


def test_the_next_provision_hits_without_waiting_for_the_watcher(job: ProvisionJob) -> None:
    complete(job, built_for(job))
    assert find_hit(job.host_id, job.config_hash) is not None


def test_a_crew_whose_config_changed_is_not_linked(job: ProvisionJob, cast: Cast) -> None:
    update_crew(cast.crew, {"devcontainer_config": '{"image": "debian:sid"}'})
    complete(job, built_for(job))
    assert Crew.objects.get(pk=cast.crew.pk).cached_image is None
    assert CachedImage.objects.get().config_hash == job.config_hash


def test_a_crew_whose_text_changed_without_meaning_is_linked(job: ProvisionJob, cast: Cast) -> None:
    update_crew(cast.crew, {"devcontainer_config": '{"image": "debian:bookworm-slim"}'})
    complete(job, built_for(job))
    assert Crew.objects.get(pk=cast.crew.pk).cached_image


def test_a_rebuild_names_the_image_it_replaced(job: ProvisionJob, cached: CachedImage) -> None:
    assert complete(job, built_for(job)) == cached.image_id
    assert CachedImage.objects.get().image_id == image_id_of("new")
    assert HostImage.objects.get().image_id == image_id_of("new")


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.PENDING, JobState.FAILED])
def test_a_job_that_was_taken_away_records_nothing(
    state: JobState, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, state)
    before = all_rows()
    with pytest.raises(StaleJobState):
        complete(as_its_worker_has_it(job), built_for(job))
    assert all_rows() == before


def as_its_worker_has_it(job: ProvisionJob) -> ProvisionJob:
    """The job as its former worker still holds it in memory."""
    job.fence = 7
    return job


def test_a_zombie_with_an_old_fence_records_nothing(job: ProvisionJob) -> None:
    ProvisionJob.objects.update(fence=2)
    before = all_rows()
    with pytest.raises(StaleJobState):
        complete(job, built_for(job))
    assert all_rows() == before


def test_followers_are_completed_and_linked(
    job: ProvisionJob, cast: Cast, make_job: JobMaker
) -> None:
    crews = [make_crew(cast.workspace, "one"), make_crew(cast.strange_workspace, "two")]
    followers = [make_job(crew, leader=job) for crew in crews]
    complete(job, built_for(job))
    for follower, crew in zip(followers, crews, strict=True):
        follower.refresh_from_db()
        crew.refresh_from_db()
        assert (follower.state, follower.cache_hit) == (JobState.COMPLETED, True)
        assert (follower.leader, follower.image_id) == (None, image_id_of("new"))
        assert crew.cached_image == cache_tag(job.config_hash)


def test_a_cancelled_follower_stays_cancelled(
    job: ProvisionJob, cast: Cast, make_job: JobMaker
) -> None:
    crew = make_crew(cast.workspace, "one")
    follower = make_job(crew, JobState.CANCELLED, leader=job)
    complete(job, built_for(job))
    follower.refresh_from_db()
    crew.refresh_from_db()
    assert (follower.state, crew.cached_image) == (JobState.CANCELLED, None)


def test_a_failure_keeps_text_code_and_hint(job: ProvisionJob) -> None:
    fail(job, BuildStepFailed("it broke", hint="look"), guard=1)
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.FAILED, "it broke")
    assert (job.error_code, job.error_hint) == ("build_step_failed", "look")
    assert job.finished_at is not None


def test_followers_fail_alike(job: ProvisionJob, cast: Cast, make_job: JobMaker) -> None:
    follower = make_job(make_crew(cast.workspace, "one"), leader=job)
    fail(job, BuildStepFailed("it broke"), guard=1)
    follower.refresh_from_db()
    assert (follower.state, follower.error, follower.leader) == (
        JobState.FAILED,
        "it broke",
        None,
    )


def test_a_failure_of_a_job_taken_away_changes_nothing(
    job: ProvisionJob, cast: Cast, make_job: JobMaker
) -> None:
    make_job(make_crew(cast.workspace, "one"), leader=job)
    before = all_rows()
    with pytest.raises(StaleJobState):
        fail(job, BuildStepFailed("it broke"), guard=99)
    assert all_rows() == before


def test_a_failed_rebuild_leaves_an_older_image_to_be_hit(
    job: ProvisionJob, cached: CachedImage
) -> None:
    fail(job, BuildStepFailed("it broke"), guard=1)
    assert find_hit(job.host_id, job.config_hash) == cached


@pytest.mark.parametrize(
    "text", ["\x1b]52;c;ZXZpbA==\x07copy", "a\x00b", "\x1b[2Jclear", "\u202eevil"]
)
def test_an_error_is_shown_without_control_characters(text: str, job: ProvisionJob) -> None:
    fail(job, BuildStepFailed(f"first line\n{text}"), guard=1)
    job.refresh_from_db()
    assert job.error.startswith("first line\n")
    assert not set(job.error) & set("\x1b\x00\x07\u202e")
