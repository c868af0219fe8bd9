"""Clean-up never takes the place of the error that led to it, and what is left stays recorded."""

from __future__ import annotations

import pytest

from crewship.domain.errors import BuildStepFailed, DiskFull, EngineUnreachable
from crewship.engine.fake import FakeExec, FakeRun
from tests.provisioning.pipeline.kit import Kit, feature_of, features


@pytest.fixture
def broken(kit: Kit) -> Kit:
    kit.features.publish("one:1")
    kit.engine.on_exec(lambda call: FakeRun("E: broken\n", 3) if feature_of(call) else None)
    return kit


@pytest.mark.parametrize("method", ["remove_container", "remove_image"])
def test_a_failing_clean_up_hides_no_failed_step(method: str, broken: Kit) -> None:
    broken.engine.fail_next(method, EngineUnreachable("gone"))
    if method == "remove_container":  # the first one is the probe's, the second the user's
        broken.engine.fail_next(method, EngineUnreachable("gone"))
        broken.engine.fail_next(method, EngineUnreachable("gone"))
    with pytest.raises(BuildStepFailed, match="E: broken"):
        broken.build({"features": features(one={})})


def test_a_container_that_could_not_be_removed_stays_in_the_records(broken: Kit) -> None:
    for _ in range(3):
        broken.engine.fail_next("remove_container", EngineUnreachable("gone"))
    with pytest.raises(BuildStepFailed):
        broken.build({"features": features(one={})})
    assert broken.ledger.containers == set(broken.engine.container_names(""))
    assert broken.ledger.containers


def test_a_container_that_cannot_be_removed_fails_no_build(kit: Kit) -> None:
    kit.engine.fail_next("remove_container", EngineUnreachable("busy"))
    kit.build()
    assert len(kit.ledger.containers) == 1


def test_a_failing_removal_hides_no_failed_tag(kit: Kit) -> None:
    kit.engine.fail_next("tag", DiskFull("no space left"))
    kit.engine.fail_next("remove_image", EngineUnreachable("gone"))
    with pytest.raises(DiskFull):
        kit.build()


def test_an_engine_that_goes_away_is_told_with_what_was_under_way(kit: Kit) -> None:
    kit.features.publish("one:1")

    def gone(call: FakeExec) -> FakeRun | None:
        if feature_of(call):
            kit.engine.unreachable = True
            raise EngineUnreachable("The Docker engine does not answer (asking for an exit code).")
        return None

    kit.engine.on_exec(gone)
    with pytest.raises(EngineUnreachable, match=r"during: Feature ghcr\.io/.*/one:1$"):
        kit.build({"features": features(one={})})
