"""What every test stands on: the cast, clients that speak for them, a host, jobs, images.

The fast tests see no network but loopback, no Redis and no engine. Knocks on the queue are
recorded in ``knocks`` instead of sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import hypothesis
import pytest
import pytest_socket
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from cache.models import CachedImage, DockerHost, HostImage
from cache.selectors import cache_tag
from crewship.crews.models import Crew
from crewship.settings.options import Options
from provisioning.models import ProvisionJob
from provisioning.states import JobState
from tests.cast import Cast, make_cast
from tests.stack.postgres import (  # noqa: F401  # fixtures are found by their names
    migrated_postgres_database,
    postgres_db,
    postgres_server,
)

# A loaded machine is no failure of a property.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

API = "/api/v1"
REAL = ("engine", "registry", "postgres", "cli", "agents", "browser", "chaos", "published")
KNOCKERS = ("services", "finish", "sweep", "tasks")


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest) -> Iterator[None]:
    if any(request.node.get_closest_marker(name) for name in REAL):
        yield
        return
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(autouse=True)
def _fresh_cache(request: pytest.FixtureRequest) -> None:
    """The throttles' counters and whatever else is in Django's cache."""
    if not any(request.node.get_closest_marker(name) for name in REAL):
        cache.clear()


@pytest.fixture(autouse=True)
def knocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The job ids that workers were called for, in order; nothing goes to Redis."""
    made: list[str] = []
    if any(request.node.get_closest_marker(name) for name in REAL):
        return made

    def knock(job_id: str) -> bool:
        made.append(job_id)
        return True

    for module in KNOCKERS:
        monkeypatch.setattr(f"provisioning.{module}.knock", knock)
    monkeypatch.setattr("provisioning.sweep.queue_is_empty", lambda: not made)
    return made


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


class Api:
    """``api.alice.get("/crews")``: a client that speaks with Alice's token; ``api.nobody`` has
    none. Paths are below /api/v1."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast

    def __getattr__(self, name: str) -> Client:
        return Client(self._cast.person(name).secret)

    @property
    def nobody(self) -> Client:
        return Client("")

    def by(self, secret: str) -> Client:
        return Client(secret)


class Client(APIClient):
    def __init__(self, secret: str, **defaults: Any) -> None:
        super().__init__(raise_request_exception=False, **defaults)
        if secret:
            self.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")

    def request(self, **kwargs: Any) -> Any:
        kwargs["PATH_INFO"] = f"{API}{kwargs['PATH_INFO']}"
        return super().request(**kwargs)

    def raw(self, path: str, body: bytes, content_type: str) -> Any:
        """A POST of these very bytes; the stubs know text only."""
        send: Any = self.generic
        return send("POST", path, body, content_type)


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast)


@pytest.fixture
def host(db: None) -> DockerHost:
    """The healthy Docker host; its last heartbeat lies ahead, so that no slow test loses it."""
    return DockerHost.objects.create(
        name="local",
        engine_id="fake-engine",
        platform="linux/amd64",
        heartbeat_at=timezone.now() + timedelta(days=1),
    )


def image_id_of(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class ImageMaker(Protocol):
    def __call__(self, config_hash: str, **fields: Any) -> CachedImage: ...


@pytest.fixture
def make_image(host: DockerHost) -> ImageMaker:
    """``make_image(hash, age_s=…, seen=…, **columns)``: our record of an image, and (unless
    ``seen`` is False) the watcher's sight of it."""

    def make(
        config_hash: str, *, age_s: float = 0, seen: bool = True, **fields: Any
    ) -> CachedImage:
        then = timezone.now() - timedelta(seconds=age_s)
        values = {
            "host": host,
            "tag": cache_tag(config_hash),
            "config_hash": config_hash,
            "image_id": image_id_of(config_hash),
            "size_bytes": 1000,
            "created_at": then,
            "last_used_at": then,
            **fields,
        }
        record = CachedImage.objects.create(**values)
        if seen:
            HostImage.objects.create(
                host=record.host,
                tag=record.tag,
                image_id=record.image_id,
                size_bytes=record.size_bytes,
                updated_at=then,
            )
        return record

    return make


@pytest.fixture
def cached(cast: Cast, make_image: ImageMaker) -> CachedImage:
    """The image of the cast's crew: on the host, recorded, and linked."""
    record = make_image(cast.crew.config_hash or "")
    cast.crew.cached_image = record.tag
    cast.crew.save(update_fields=["cached_image"])
    return record


class JobMaker(Protocol):
    def __call__(
        self, crew: Crew, state: JobState = JobState.PENDING, **fields: Any
    ) -> ProvisionJob: ...


@pytest.fixture
def make_job(host: DockerHost) -> JobMaker:
    def make(crew: Crew, state: JobState = JobState.PENDING, **fields: Any) -> ProvisionJob:
        now = timezone.now()
        values: dict[str, Any] = {
            "crew": crew,
            "workspace": crew.workspace,
            "host": host,
            "state": state,
            "config_hash": crew.config_hash,
            "devcontainer_config": crew.devcontainer_config or "",
            "mise_config": crew.mise_config,
            "runtime_image": crew.runtime_image,
        }
        if state != JobState.PENDING:
            values["started_at"] = now
        if state == JobState.RUNNING:
            values |= {"fence": 1, "worker": "w:1", "heartbeat_at": now}
        if state in {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}:
            values["finished_at"] = now
        return ProvisionJob.objects.create(**values | fields)

    return make


@pytest.fixture
def set_options(settings: Any) -> Callable[..., Options]:
    """``set_options(cache_scope="workspace")``: the test runs under these options."""

    def change(**changes: Any) -> Options:
        settings.CREWSHIP = replace(settings.CREWSHIP, **changes)
        options: Options = settings.CREWSHIP
        return options

    return change


@pytest.fixture
def set_limits(settings: Any, set_options: Callable[..., Options]) -> Callable[..., Options]:
    """``set_limits(starts_per_minute=2)``."""
    return lambda **changes: set_options(limits=replace(settings.CREWSHIP.limits, **changes))


@pytest.fixture
def set_gc(settings: Any, set_options: Callable[..., Options]) -> Callable[..., Options]:
    return lambda **changes: set_options(gc=replace(settings.CREWSHIP.gc, **changes))
