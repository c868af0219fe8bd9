"""What only a real engine can show: streams, sizes, an engine that goes away."""

from __future__ import annotations

import gc
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from crewship.domain.errors import EngineUnreachable
from crewship.engine.base import ImageConfig, Mount
from crewship.engine.docker import DockerEngine
from tests.engine.bench import Bench, tar_of
from tests.engine.relay import Relay

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

BIG_BYTES = 150_000_000


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    made = Relay(tmp_path)
    yield made
    made.cut()


@pytest.fixture
def collected() -> Iterator[None]:
    """The SDK forgets to close a unix socket that it could not connect; let it go here."""
    yield
    gc.collect()


EngineAt = Callable[..., DockerEngine]


@pytest.fixture
def engine_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineAt]:
    made: list[DockerEngine] = []

    def connect(url: str, timeout_s: int = 10) -> DockerEngine:
        monkeypatch.setenv("DOCKER_HOST", url)
        made.append(DockerEngine.from_environment(timeout_s=timeout_s))
        return made[-1]

    yield connect
    for engine in made:
        engine.close()


class TestExec:
    def test_output_that_comes_with_the_headers_is_not_lost(self, docker_bench: Bench) -> None:
        container = docker_bench.container()
        outputs = [docker_bench.run(container, ("id",), user="nobody-here") for _ in range(40)]
        assert [o for r, o in outputs if "nobody-here" not in o or r.exit_code != 126] == []

    def test_a_megabyte_of_output_arrives_whole(self, docker_bench: Bench) -> None:
        argv = ("sh", "-c", "seq 200000")
        _, output = docker_bench.run(docker_bench.container(), argv)
        assert output == "".join(f"{number}\n" for number in range(1, 200_001))

    def test_a_background_process_does_not_hold_the_step(self, docker_bench: Bench) -> None:
        argv = ("sh", "-c", "sleep 60 & echo on")
        begun = time.monotonic()
        result, output = docker_bench.run(docker_bench.container(), argv)
        assert (result.exit_code, output) == (0, "on\n")
        assert time.monotonic() - begun < 10

    def test_a_process_without_output_streams_is_waited_for(self, docker_bench: Bench) -> None:
        argv = ("sh", "-c", "exec >&- 2>&-; sleep 0.5; exit 3")
        result, _ = docker_bench.run(docker_bench.container(), argv)
        assert result.exit_code == 3

    def test_what_on_output_raises_passes_through(self, docker_bench: Bench) -> None:
        def fail(_: str) -> None:
            raise ConnectionError("the database, say")

        with pytest.raises(ConnectionError, match="the database"):
            docker_bench.run(docker_bench.container(), ("echo", "x"), on_output=fail)

    def test_an_engine_that_leaves_is_unreachable(
        self, docker_bench: Bench, relay: Relay, engine_at: EngineAt
    ) -> None:
        container = docker_bench.container()
        far = Bench(engine_at(relay.url))
        begun = time.monotonic()
        with pytest.raises(EngineUnreachable):
            far.run(container, ("sh", "-c", "echo on; sleep 60"), on_output=lambda _: relay.cut())
        assert time.monotonic() - begun < 5


class TestAnEngineThatIsNotThere:
    @pytest.mark.parametrize(
        "call",
        [
            lambda engine: engine.info(),
            lambda engine: engine.image("x"),
            lambda engine: engine.image_tags("x"),
            lambda engine: engine.tag("x", "y:1"),
            lambda engine: engine.remove_image("x"),
            lambda engine: engine.import_rootfs([b""], "x:1"),
            lambda engine: engine.kill_container("x"),
            lambda engine: engine.remove_container("x"),
            lambda engine: engine.container_names("x"),
            lambda engine: engine.put_archive("x", "/", b""),
            lambda engine: engine.commit("x", ImageConfig(), "x:1"),
            lambda engine: engine.events(Event()),
        ],
    )
    def test_every_call_says_unreachable(
        self,
        call: Callable[[DockerEngine], object],
        tmp_path: Path,
        engine_at: EngineAt,
    ) -> None:
        engine = engine_at(f"unix://{tmp_path}/nothing.sock")
        with pytest.raises(EngineUnreachable):
            call(engine)

    def test_a_silent_engine_is_unreachable_after_the_time_out(
        self, tmp_path: Path, engine_at: EngineAt
    ) -> None:
        relay = Relay(tmp_path, silent=True)
        engine = engine_at(relay.url, timeout_s=1)
        begun = time.monotonic()
        with pytest.raises(EngineUnreachable, match="in time"):
            engine.info()
        relay.cut()
        assert time.monotonic() - begun < 3

    def test_a_broken_docker_host_is_a_typed_error(self, engine_at: EngineAt) -> None:
        engine = engine_at("tcp://127.0.0.1:9")
        with pytest.raises(EngineUnreachable):
            engine.info()


class TestEvents:
    def test_an_engine_that_leaves_is_unreachable(
        self, docker_engine: DockerEngine, relay: Relay, engine_at: EngineAt
    ) -> None:
        events = engine_at(relay.url).events(Event())
        threading.Timer(0.1, relay.cut).start()
        begun = time.monotonic()
        with pytest.raises(EngineUnreachable):
            list(events)
        assert time.monotonic() - begun < 3

    def test_execs_are_left_out(self, docker_bench: Bench) -> None:
        container = docker_bench.container()
        cancel = Event()
        events = docker_bench.engine.events(cancel)
        docker_bench.run(container, ("true",))
        docker_bench.engine.kill_container(container)
        seen = next(event for event in events if event.actor_id == container)
        cancel.set()
        assert not seen.action.startswith("exec")


class TestFiles:
    def test_150_mb_are_streamed_into_a_container(self, docker_bench: Bench) -> None:
        container = docker_bench.container()
        docker_bench.engine.put_archive(container, "/srv", _big_tar())
        _, output = docker_bench.run(container, ("stat", "-c", "%s %a %u", "/srv/big"))
        assert output == f"{BIG_BYTES} 755 0\n"

    def test_a_volume_is_filled_through_one_container_and_read_in_another(
        self, docker_bench: Bench, docker_engine: DockerEngine
    ) -> None:
        volume = docker_bench.name("volume")
        writer = docker_bench.container(
            start=False, mounts=[Mount(volume, "/opt/crewship/in", read_only=False)]
        )
        docker_bench.engine.put_archive(writer, "/opt/crewship/in", tar_of({"file": b"x"}))
        reader = docker_bench.container(mounts=[Mount(volume, "/opt/crewship/in")])
        _, content = docker_bench.run(reader, ("cat", "/opt/crewship/in/file"))
        refused, _ = docker_bench.run(reader, ("touch", "/opt/crewship/in/other"))
        docker_bench.engine.remove_container(writer)
        docker_bench.engine.remove_container(reader)
        docker_engine._quick.remove_volume(volume)
        assert content == "x"
        assert refused.exit_code != 0


def _big_tar() -> Iterator[bytes]:
    member = tarfile.TarInfo("big")
    member.size, member.mode = BIG_BYTES, 0o755
    yield member.tobuf()
    zeros = bytes(1_000_000)
    for _ in range(BIG_BYTES // len(zeros)):
        yield zeros
    yield bytes(-BIG_BYTES % 512 + 1024)
