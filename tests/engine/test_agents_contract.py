"""What the keeper of agents may rely on, against the fake and the real engine alike."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from crewship.domain.errors import Conflict, ContainerGone, ImageNotFound
from crewship.engine.base import Engine
from crewship.engine.fake import FakeEngine
from crewship.engine.fake_agents import FakeProcess
from crewship.engine.running import AgentSpec, ContainerState, SharedVolume, SubnetTaken
from tests.engine.bench import Bench
from tests.engine.real import BASE_IMAGE
from tests.stack.server import wait_until

READ_SCRIPT = ("/bin/sh", "-c", 'eval "$(cat)"')
STAY = "echo ready; exec sleep 60 </dev/null"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done </dev/null"
END_WITH_7 = "echo bye; exit 7"

ANSWERS = {
    STAY: FakeProcess("ready\n"),
    STUBBORN: FakeProcess("ready\n", ignores_sigterm=True),
    END_WITH_7: FakeProcess("bye\n", 7, ends=True),
}


class Places:
    """Agents' containers, networks and volumes of one test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.engine: Engine = bench.engine
        self._networks: list[str] = []
        self._volumes: list[str] = []

    def agent(self, word: str = "agent", **fields: Any) -> str:
        values: dict[str, Any] = {
            "image": BASE_IMAGE,
            "argv": READ_SCRIPT,
            "user": "1001",
            "working_dir": "/",
            "network": "bridge",
            **fields,
        }
        name = self.bench.name(word)
        self.engine.create_agent(AgentSpec(name=name, **values))
        return name

    def started(self, script: str = STAY, **fields: Any) -> str:
        name = self.agent(**fields)
        self.engine.start_with_input(name, script)
        return name

    def state(self, name: str) -> ContainerState:
        return next(s for s in self.engine.containers(self.bench.prefix) if s.name == name)

    def ended(self, name: str) -> ContainerState:
        state = wait_until(
            lambda: s if not (s := self.state(name)).running else None, 10, f"end of {name}", 0.05
        )
        assert isinstance(state, ContainerState)
        return state

    def network(self, word: str, subnet: str) -> str:
        name = self.bench.name(word)
        self._networks.append(name)
        self.engine.create_network(name, subnet)
        return name

    def volume(self, word: str) -> str:
        name = self.bench.name(word)
        self._volumes.append(name)
        return name

    def clear(self) -> None:
        self.bench.clear()
        for name in self._networks:
            self.engine.remove_network(name)
        for name in self._volumes:
            self.engine.remove_volume(name)


@pytest.fixture
def places(any_engine: Engine) -> Iterator[Places]:
    if isinstance(any_engine, FakeEngine):
        any_engine.on_input(lambda spec, text: ANSWERS.get(text))
    made = Places(Bench(any_engine))
    yield made
    made.clear()


@pytest.fixture
def subnet() -> str:
    """Addresses that hardly anybody uses at this moment."""
    a, b = uuid.uuid4().bytes[:2]
    return f"10.214.{a}.{b & 0xF0}/28"


def read(engine: Engine, container: str, since: float = 0) -> str:
    return "".join(engine.container_logs(container, since=since))


def test_the_text_is_its_stdin_and_it_runs_on(places: Places) -> None:
    image = places.engine.image(BASE_IMAGE)
    name = places.started()
    assert image is not None
    state = places.state(name)
    assert (state.running, state.image_id, state.exit_code) == (True, image.image_id, None)


def test_one_that_was_not_started_does_not_run(places: Places) -> None:
    state = places.state(places.agent())
    assert (state.running, state.exit_code) == (False, None)


def test_one_that_ends_has_its_exit_code(places: Places) -> None:
    assert places.ended(places.started(END_WITH_7)).exit_code == 7


def test_one_that_is_killed_has_137(places: Places) -> None:
    name = places.started()
    places.engine.kill_container(name)
    assert places.ended(name).exit_code == 137


def test_it_starts_again_with_another_text(places: Places) -> None:
    name = places.started(END_WITH_7)
    places.ended(name)
    places.engine.start_with_input(name, STAY)
    assert places.state(name).running


def test_stopping_ends_it_by_sigterm(places: Places) -> None:
    name = places.started()
    begun = time.monotonic()
    places.engine.stop_container(name, 10)
    assert time.monotonic() - begun < 5
    assert places.state(name).exit_code == 143


def test_one_that_ignores_sigterm_is_killed_after_the_grace(places: Places) -> None:
    name = places.started(STUBBORN)
    stream = places.engine.container_logs(name)
    assert "ready" in next(iter(stream))  # the trap is set
    stream.close()
    places.engine.stop_container(name, 1)
    assert places.state(name).exit_code == 137


def test_stopping_what_does_not_run_or_is_gone_is_no_error(places: Places) -> None:
    name = places.agent()
    places.engine.stop_container(name, 1)
    places.engine.remove_container(name)
    places.engine.stop_container(name, 1)


def test_starting_one_that_is_gone_says_so(places: Places) -> None:
    with pytest.raises(ContainerGone):
        places.engine.start_with_input(places.bench.name("nothing"), STAY)


def test_a_taken_name_is_a_conflict(places: Places) -> None:
    places.agent()
    with pytest.raises(Conflict):
        places.agent()


def test_an_unknown_image_is_refused(places: Places) -> None:
    with pytest.raises(ImageNotFound):
        places.agent(image=places.bench.tag("nothing"))


def test_logs_are_all_it_printed_once_it_ended(places: Places) -> None:
    name = places.started(END_WITH_7)
    assert read(places.engine, name) == "bye\n"


def test_logs_of_a_running_one_end_with_close(places: Places) -> None:
    name = places.started()
    stream = places.engine.container_logs(name)
    closing = threading.Timer(0.3, stream.close)
    closing.start()
    assert "".join(stream) == "ready\n"
    closing.join()


def test_logs_of_one_that_is_gone_are_refused(places: Places) -> None:
    with pytest.raises(ContainerGone):
        read(places.engine, places.bench.name("nothing"))


def test_a_network_is_made_once_and_goes_when_empty(places: Places, subnet: str) -> None:
    name = places.network("net", subnet)
    places.engine.create_network(name, subnet)
    agent = places.started(network=name)
    with pytest.raises(Conflict):
        places.engine.remove_network(name)
    places.engine.remove_container(agent)
    assert [places.engine.remove_network(name) for _ in range(2)] == [True, False]


def test_addresses_in_use_are_refused(places: Places, subnet: str) -> None:
    places.network("one", subnet)
    with pytest.raises(SubnetTaken):
        places.network("two", subnet)


def test_a_volume_in_use_is_kept(places: Places) -> None:
    volume = places.volume("data")
    agent = places.agent(volumes=(SharedVolume(volume, "/data"),))
    with pytest.raises(Conflict):
        places.engine.remove_volume(volume)
    places.engine.remove_container(agent)
    assert [places.engine.remove_volume(volume) for _ in range(2)] == [True, False]
