"""Saving a crew with auto_provision: its newest config is provisioned, whoever saved it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cache.models import CachedImage
from crewship.crews.models import Crew
from crewship.domain.errors import ConfigInvalid
from provisioning.authoring import SUPERSEDED, Saved, save_crew
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.cast import Cast
from tests.conftest import ImageMaker, JobMaker

SID = {"devcontainer_config": '{"image": "debian:sid"}'}
Save = Callable[..., Saved]


@pytest.fixture
def save(cast: Cast, django_capture_on_commit_callbacks: Any) -> Save:
    """Mona saves the cast's crew, which has auto_provision."""
    cast.crew.auto_provision = True
    cast.crew.save()

    def send(**values: Any) -> Saved:
        with django_capture_on_commit_callbacks(execute=True):
            return save_crew(cast.crew, values, actor=cast.mona.user)

    return send


@pytest.mark.usefixtures("host")
def test_a_new_crew_is_provisioned_at_once(
    cast: Cast, knocks: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    values = {"name": "New", "slug": "new", "auto_provision": True, **SID}
    with django_capture_on_commit_callbacks(execute=True):
        saved = save_crew(cast.workspace, values, actor=cast.mona.user)
    job = ProvisionJob.objects.get()
    assert (job.crew, job.requested_by, knocks) == (saved.crew, cast.mona.user, [job.pk])
    assert saved.job == job
    assert saved.warnings == ()


@pytest.mark.usefixtures("host")
def test_without_the_switch_nothing_is_started(cast: Cast) -> None:
    save_crew(cast.crew, SID, actor=cast.mona.user)
    assert not ProvisionJob.objects.exists()


@pytest.mark.usefixtures("host")
def test_a_new_meaning_is_provisioned_and_a_new_wording_is_not(save: Save, cast: Cast) -> None:
    save(name="Renamed")
    save(devcontainer_config='{"image": "debian:bookworm-slim"}')  # it was JSONC
    assert not ProvisionJob.objects.exists()
    saved = save(**SID)
    assert ProvisionJob.objects.get().config_hash == saved.crew.config_hash


@pytest.mark.usefixtures("host")
def test_turning_the_switch_on_provisions(cast: Cast) -> None:
    saved = save_crew(cast.crew, {"auto_provision": True}, actor=None)
    assert saved.job is not None


def test_an_image_that_is_there_is_linked_at_once(
    save: Save, cast: Cast, make_image: ImageMaker
) -> None:
    hash_of_sid = save_crew(
        cast.workspace, {"name": "n", "slug": "other", **SID}, actor=None
    ).crew.config_hash
    image = make_image(hash_of_sid or "")
    saved = save(**SID)
    assert saved.crew.cached_image == image.tag
    assert saved.job is not None
    assert saved.job.state == JobState.COMPLETED


def test_a_crew_that_has_its_image_starts_nothing(save: Save, cached: CachedImage) -> None:
    save(auto_provision=True, name="Renamed")
    assert not ProvisionJob.objects.exists()


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING])
def test_a_job_of_an_older_config_is_superseded(
    state: JobState, save: Save, cast: Cast, make_job: JobMaker
) -> None:
    old = make_job(cast.crew, state)
    saved = save(**SID)
    old.refresh_from_db()
    assert (old.state, old.message) == (JobState.CANCELLED, SUPERSEDED)
    assert saved.job is not None
    assert (saved.job.state, saved.job.config_hash) == (
        JobState.PENDING,
        saved.crew.config_hash,
    )


def test_the_last_of_many_saves_is_what_is_built(
    save: Save, cast: Cast, make_job: JobMaker
) -> None:
    make_job(cast.crew)
    for number in range(5):
        save(devcontainer_config=f'{{"image": "debian:sid", "containerEnv": {{"N": "{number}"}}}}')
    (active,) = ProvisionJob.objects.filter(state=JobState.PENDING)
    assert active.config_hash == Crew.objects.get(pk=cast.crew.pk).config_hash
    assert ProvisionJob.objects.filter(message=SUPERSEDED).count() == 5


def test_going_back_to_what_is_being_built_leaves_the_job_alone(
    save: Save, cast: Cast, make_job: JobMaker
) -> None:
    job = make_job(cast.crew, JobState.RUNNING)
    text = cast.crew.devcontainer_config
    Crew.objects.filter(pk=cast.crew.pk).update(config_hash="0" * 64)  # a save in between
    saved = save(devcontainer_config=text)
    assert ProvisionJob.objects.get() == job
    assert saved.warnings == ()


def test_a_start_that_is_refused_fails_no_save_and_cancels_nothing(
    save: Save, cast: Cast, make_job: JobMaker, set_limits: Any
) -> None:
    set_limits(starts_per_minute=0)
    old = make_job(cast.crew)
    saved = save(**SID)
    assert [(w.path, w.code) for w in saved.warnings] == [("auto_provision", "rate_limited")]
    assert Crew.objects.get(pk=cast.crew.pk).devcontainer_config == SID["devcontainer_config"]
    old.refresh_from_db()
    assert old.state == JobState.PENDING


def test_without_a_host_the_save_says_so(save: Save) -> None:
    (warning,) = save(**SID).warnings
    assert warning.code == "no_docker_host"
    assert "Not provisioned" in warning.message


@pytest.mark.usefixtures("host")
def test_a_config_that_is_refused_starts_nothing(save: Save) -> None:
    with pytest.raises(ConfigInvalid):
        save(devcontainer_config='{"privileged": true}')
    assert not ProvisionJob.objects.exists()


@pytest.mark.usefixtures("host")
def test_clearing_the_config_starts_nothing(save: Save) -> None:
    save(devcontainer_config="")
    assert not ProvisionJob.objects.exists()
