from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from cache.models import DockerHost, Layer, LayerLease
from crewship.devcontainer.types import LayerKind, LayerPlan
from crewship.domain.errors import BuildCancelled
from crewship.engine.base import ImageConfig, ImageInfo
from provisioning import ledger as module
from provisioning.ledger import DatabaseLedger
from provisioning.models import ProvisionJob, ScratchContainer
from provisioning.states import JobState
from tests.cast import Cast, make_crew
from tests.conftest import JobMaker, image_id_of

KEY = "k" * 64
PLAN = LayerPlan(LayerKind.FEATURE, "node:1", KEY, {"digest": "sha256:x"})
FINAL = LayerPlan(LayerKind.FINAL, "config", KEY, {})


def image(name: str) -> ImageInfo:
    return ImageInfo(image_id_of(name), (), (), "linux/amd64", 10, "", 2, ImageConfig())


def ledger_of(job: ProvisionJob, cancel: Event | None = None) -> DatabaseLedger:
    return DatabaseLedger(host=job.host, job_id=job.pk, fence=job.fence, cancel=cancel or Event())


@pytest.fixture
def job(cast: Cast, make_job: JobMaker) -> ProvisionJob:
    return make_job(cast.crew, JobState.RUNNING)


@pytest.fixture
def ledger(job: ProvisionJob) -> DatabaseLedger:
    return ledger_of(job)


@pytest.fixture
def other(cast: Cast, make_job: JobMaker) -> ProvisionJob:
    return make_job(make_crew(cast.workspace, "other"), JobState.RUNNING)


def test_a_layer_under_way_is_not_found(ledger: DatabaseLedger) -> None:
    draft = ledger.begin_layer(PLAN, "sha256:parent")
    assert Layer.objects.get().tag == draft.tag
    assert draft.tag.startswith(f"crewship-layer:{KEY[:32]}-")
    assert ledger.find_layers(KEY) == []


def test_a_finished_layer_is_found_with_its_facts(ledger: DatabaseLedger) -> None:
    draft = ledger.begin_layer(PLAN, "sha256:parent")
    ledger.finish_layer(draft, image("a"), {"home": "/home/agent"})
    (found,) = ledger.find_layers(KEY)
    assert (found.tag, found.image_id) == (draft.tag, image_id_of("a"))
    assert found.facts == {"home": "/home/agent"}
    row = Layer.objects.get()
    assert (row.parent_image_id, row.size_bytes) == ("sha256:parent", 10)
    assert row.parts == {"digest": "sha256:x"}


def test_a_second_one_stands_beside_it_and_is_found_first(ledger: DatabaseLedger) -> None:
    first = ledger.begin_layer(PLAN, "p")
    ledger.finish_layer(first, image("a"), {})
    second = ledger.begin_layer(PLAN, "p")
    ledger.finish_layer(second, image("b"), {})
    assert first.tag != second.tag
    assert len(second.tag.rpartition(":")[2]) <= 128  # docker's limit for a tag
    assert [r.image_id for r in ledger.find_layers(KEY)] == [image_id_of("b"), image_id_of("a")]


def test_a_final_layers_name_is_the_jobs_own(ledger: DatabaseLedger, other: ProvisionJob) -> None:
    tags = {ledger.begin_layer(FINAL, "p").tag, ledger_of(other).begin_layer(FINAL, "p").tag}
    assert len(tags) == 2
    assert f"crewship-layer:{KEY}" not in tags


def test_a_dropped_layer_is_gone(ledger: DatabaseLedger) -> None:
    ledger.drop_layer(ledger.begin_layer(PLAN, "p"))
    assert not Layer.objects.exists()


def test_a_layer_of_another_host_is_not_found(ledger: DatabaseLedger, job: ProvisionJob) -> None:
    draft = ledger.begin_layer(PLAN, "p")
    ledger.finish_layer(draft, image("a"), {})
    Layer.objects.update(host=DockerHost.objects.create(name="other"))
    assert ledger.find_layers(KEY) == []


def test_a_lease_is_held_within_its_block_only(ledger: DatabaseLedger) -> None:
    with ledger.lease(KEY):
        assert LayerLease.objects.filter(key=KEY).exists()
    assert not LayerLease.objects.exists()


def test_a_lease_is_given_back_when_the_build_fails(ledger: DatabaseLedger) -> None:
    with pytest.raises(RuntimeError), ledger.lease(KEY):
        raise RuntimeError
    assert not LayerLease.objects.exists()


def test_a_lease_of_a_running_job_is_waited_for(
    ledger: DatabaseLedger, other: ProvisionJob
) -> None:
    """The wait ends here by a cancel."""
    cancel = Event()
    cancel.set()
    with (
        ledger.lease(KEY),
        pytest.raises(BuildCancelled),
        ledger_of(other, cancel).lease(KEY),
    ):
        pytest.fail("two jobs hold one lease")


def test_a_waiting_job_goes_on_when_the_lease_is_free(
    ledger: DatabaseLedger, other: ProvisionJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = LayerLease.objects.create(host=other.host, key=KEY, job_id=other.pk, fence=other.fence)

    class Waiting(Event):
        def wait(self, timeout: float | None = None) -> bool:
            held.delete()
            return False

    ledger._cancel = Waiting()
    with ledger.lease(KEY):
        assert LayerLease.objects.get().job_id == ledger._job_id


@pytest.mark.parametrize(
    "change", [{"state": JobState.FAILED}, {"fence": 9}, {"state": JobState.PENDING}]
)
def test_a_stale_lease_counts_as_free(
    change: dict[str, Any], ledger: DatabaseLedger, other: ProvisionJob
) -> None:
    LayerLease.objects.create(host=other.host, key=KEY, job_id=other.pk, fence=other.fence)
    ProvisionJob.objects.filter(pk=other.pk).update(**change)
    with ledger.lease(KEY):
        assert LayerLease.objects.get().job_id == ledger._job_id


def test_a_lease_of_a_job_that_is_gone_counts_as_free(ledger: DatabaseLedger) -> None:
    LayerLease.objects.create(host=ledger._host, key=KEY, job_id="job_gone", fence=1)
    with ledger.lease(KEY):
        pass


def test_a_lost_race_for_a_lease_is_no_error(
    ledger: DatabaseLedger, other: ProvisionJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    LayerLease.objects.create(host=other.host, key=KEY, job_id=other.pk, fence=other.fence)
    monkeypatch.setattr(module, "_is_held", lambda _lease: True)
    assert ledger._take(KEY) is False


def test_a_scratch_container_is_in_the_records_while_it_is_used(ledger: DatabaseLedger) -> None:
    ledger.note_scratch("crewship-build-x-1-user-1")
    [row] = ScratchContainer.objects.all()
    assert (row.name, row.job_id) == ("crewship-build-x-1-user-1", ledger._job_id)
    ledger.forget_scratch("crewship-build-x-1-user-1")
    assert not ScratchContainer.objects.exists()
