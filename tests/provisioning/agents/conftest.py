"""A keeper whose actions run at once, on a fake engine, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import pytest

from cache.models import CachedImage, DockerHost
from crewship.crews.models import Agent, AgentLogChunk, Crew
from crewship.engine.base import ImageConfig
from crewship.engine.fake import FakeEngine
from provisioning.agents.actions import AgentActions
from provisioning.agents.agent_logs import AgentLogs
from provisioning.agents.agent_plan import container_name
from provisioning.agents.keeper import AgentKeeper
from provisioning.agents.wishes import wish_started, wish_stopped
from tests.cast import Cast
from tests.conftest import ImageMaker

P = ParamSpec("P")
T = TypeVar("T")
IMAGE_ENV = (("PATH", "/opt/tool:/usr/bin:/bin"), ("FROM_IMAGE", "yes"))


class AtOnce(Executor):
    """Runs what is submitted before it returns."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass
class World:
    engine: FakeEngine
    host: DockerHost
    crew: Crew
    image: CachedImage
    now: float = 1000.0
    logs: AgentLogs = field(init=False)
    keeper: AgentKeeper = field(init=False)

    def __post_init__(self) -> None:
        self._watch()

    def watch_anew(self) -> None:
        """The watcher was started again: what it held in memory is gone."""
        self.stop_following()
        self._watch()

    def stop_following(self) -> None:
        for follower in list(self.logs._followers.values()):
            follower.close()
            follower.thread.join(5)

    def _watch(self) -> None:
        self.logs = AgentLogs(self.engine)
        actions = AgentActions(self.engine, self.host.name, self.logs)
        self.keeper = AgentKeeper(
            self.engine, self.host.name, actions, AtOnce(), clock=lambda: self.now
        )

    def agent(self, name: str = "worker", crew: Crew | None = None, **fields: Any) -> Agent:
        return Agent.objects.create(crew=crew or self.crew, name=name, command="run", **fields)

    def tick(self, times: int = 3, *, after_s: float = 0.0) -> None:
        """What a wish or an end needs: to be seen, acted on, and seen again."""
        self.now += after_s
        for _ in range(times):
            self.keeper.wake()
            self.keeper.tick()

    def start(self, agent: Agent) -> Agent:
        wish_started(Agent.objects.filter(pk=agent.pk), self.host.name)
        self.tick()
        return self.fresh(agent)

    def stop(self, agent: Agent) -> Agent:
        wish_stopped(Agent.objects.filter(pk=agent.pk))
        self.tick()
        return self.fresh(agent)

    def fresh(self, agent: Agent) -> Agent:
        return Agent.objects.get(pk=agent.pk)

    def name(self, agent: Agent) -> str:
        return container_name(agent.crew_id, agent.name)

    def runs(self, agent: Agent) -> bool:
        states = {s.name: s.running for s in self.engine.containers("crewship-")}
        return states.get(self.name(agent), False)

    def log(self, agent: Agent) -> list[str]:
        self.logs._try_to_write()
        chunks = AgentLogChunk.objects.filter(agent=agent)
        return [line for chunk in chunks for line in chunk.lines]

    def new_image(self) -> CachedImage:
        """A rebuild moved the tag to another image."""
        image_id = self.engine.add_image(self.image.tag, ImageConfig(env=IMAGE_ENV))
        self.image.image_id = image_id
        self.image.save()
        self.host.seen_images.filter(tag=self.image.tag).update(image_id=image_id)
        return self.image


@pytest.fixture
def world(
    cast: Cast, host: DockerHost, make_image: ImageMaker, _own_connection: None
) -> Iterator[World]:
    engine = FakeEngine()
    tag = f"crewship-cache:{(cast.crew.config_hash or '')[:12]}"
    image_id = engine.add_image(tag, ImageConfig(env=IMAGE_ENV))
    image = make_image(cast.crew.config_hash or "", image_id=image_id)
    Crew.objects.filter(pk=cast.crew.pk).update(cached_image=image.tag)
    cast.crew.refresh_from_db()
    made = World(engine, host, cast.crew, image)
    yield made
    made.stop_following()


@pytest.fixture
def _own_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions run in the test's own thread; its connection stays open."""
    for module in ("actions", "agent_logs", "keeper"):
        monkeypatch.setattr(f"provisioning.agents.{module}.close_old_connections", lambda: None)
