"""What the fake offers beyond the contract, to tests of the rooms above."""

from __future__ import annotations

from threading import Event

import pytest

from crewship.domain.errors import DiskFull, EngineUnreachable, ImageNotFound
from crewship.engine.base import ContainerSpec, ImageConfig, ImageInfo
from crewship.engine.fake import FakeEngine, FakeExec, FakeRun
from tests.engine.bench import Bench, tar_of
from tests.engine.real import BASE_IMAGE


@pytest.fixture
def fake_bench(fake_engine: FakeEngine) -> Bench:
    return Bench(fake_engine)


def pull(fake: FakeEngine, reference: str) -> ImageInfo:
    return fake.pull(
        reference,
        platform="linux/amd64",
        credentials=None,
        on_progress=lambda line: None,
        cancel=Event(),
    )


def test_a_published_image_is_pulled_with_its_config() -> None:
    fake = FakeEngine()
    config = ImageConfig(env=(("A", "1"),))
    image_id = fake.publish("acme/base:1", config)
    found = pull(fake, "acme/base:1")
    assert (found.image_id, found.config, found.tags) == (image_id, config, ("acme/base:1",))


def test_what_nobody_published_is_not_found() -> None:
    with pytest.raises(ImageNotFound):
        pull(FakeEngine(), "acme/base:1")


def test_a_tag_that_moved_in_the_registry_gives_another_image() -> None:
    fake = FakeEngine()
    fake.publish("acme/base:1")
    first = pull(fake, "acme/base:1")
    fake.publish("acme/base:1")
    assert pull(fake, "acme/base:1").image_id != first.image_id


def test_the_next_call_fails_on_demand_and_only_that(fake_bench: Bench) -> None:
    fake: FakeEngine = fake_bench.engine  # type: ignore[assignment]
    container = fake_bench.container()
    fake.fail_next("commit", DiskFull("full"))
    with pytest.raises(DiskFull):
        fake_bench.commit(container, "x")
    assert fake_bench.commit(container, "x")


def test_an_unreachable_engine_refuses_every_call_and_ends_events(
    fake_engine: FakeEngine,
) -> None:
    events = fake_engine.events(Event())
    fake_engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        fake_engine.info()
    with pytest.raises(EngineUnreachable):
        list(events)


def test_handlers_see_the_call_and_the_newest_answers_first(fake_bench: Bench) -> None:
    fake: FakeEngine = fake_bench.engine  # type: ignore[assignment]
    seen: list[FakeExec] = []

    def record(call: FakeExec) -> FakeRun:
        seen.append(call)
        return FakeRun(["one ", "two"], exit_code=3)

    fake.on_exec(record)
    fake.on_exec(lambda call: None)
    container = fake_bench.container(start=False)
    fake.put_archive(container, "/srv", tar_of({"file": b"x"}))
    fake.start_container(container)
    result, output = fake_bench.run(container, ("sh",), user="agent", env=[("A", "1")])
    assert (result.exit_code, output) == (3, "one two")
    assert (seen[0].image, seen[0].user, seen[0].env) == (BASE_IMAGE, "agent", {"A": "1"})
    assert seen[0].files == {"/srv/file": b"x"}


def test_files_that_a_command_left_are_in_the_committed_image(fake_bench: Bench) -> None:
    fake: FakeEngine = fake_bench.engine  # type: ignore[assignment]
    fake.on_exec(lambda call: FakeRun(files={"/etc/made": b"1"}))
    container = fake_bench.container()
    fake_bench.run(container, ("touch",))
    assert fake.files(fake_bench.commit(container, "x")) == {"/etc/made": b"1"}


def test_calls_are_recorded_in_order(fake_engine: FakeEngine) -> None:
    spec = ContainerSpec("box", BASE_IMAGE)
    fake_engine.start_container(fake_engine.create_container(spec))
    assert [call.method for call in fake_engine.calls] == ["create_container", "start_container"]
    assert fake_engine.call_args("create_container") == [{"spec": spec}]
