"""What a pipeline step is given and gives back, and the seams to the world around it.

A step is a function ``(Context, Tools) -> Context``. Context is data and grows from step to step;
Tools is what effects go through. Nothing here or beside it knows Django: jobs, rows and queues
are behind Emit and Ledger.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import (
    BuildPlan,
    CrewSpec,
    FeatureRef,
    FeatureRequest,
    LayerPlan,
    ResolvedFeature,
)
from crewship.domain.errors import BuildCancelled, CrewshipError
from crewship.engine.base import Engine, EngineInfo, ImageInfo, RegistryCredentials
from crewship.engine.disk import DiskSpace, engine_disk
from crewship.registry.background import result_of, start
from crewship.registry.mise import MiseBinary

AGENT_USER = "agent"
AGENT_UID = "1001"
AGENT_HOME = "/home/agent"
CONTAINER_PREFIX = "crewship-build-"  # of all scratch containers of all installations
BUILD_DIR = "/.crewship-build"  # everything of ours in a scratch container; gone before commit
FEATURE_DIR = f"{BUILD_DIR}/feature"
CA_FILE = f"{BUILD_DIR}/ca.crt"
MISE_CACHE_DIR = f"{BUILD_DIR}/mise-cache"
MISE_INSTALL_HOME = f"{BUILD_DIR}/mise-home"


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One job as the pipeline sees it. ``fence`` makes names of its containers its own."""

    job_id: str
    fence: int
    spec: CrewSpec
    config_hash: str
    tag: str  # "crewship-cache:<12 hex>"
    rebuild: bool = False
    scope_key: str = ""

    @property
    def devcontainer_id(self) -> str:
        """52 characters of 0-9 and a-v, as the spec has them; one for all crews with this config,
        since they share the image."""
        digest = bytes.fromhex(self.config_hash)
        return base64.b32hexencode(digest).decode().rstrip("=").lower()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    policy: Policy
    network: str = "bridge"
    step_timeout_s: float = 1800
    idle_timeout_s: float = 900
    memory_bytes: int | None = None  # of a build's container; None: 80 % of the host's, 0: all
    nano_cpus: int | None = None  # None: all processors
    pids_limit: int | None = None
    max_layer_bytes: int = 0  # 0: no limit
    disk_floor_bytes: int = 0  # what builds leave free, or 5 % of a small disk; 0: no floor
    mise_env: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: bytes = b""  # PEM that build steps trust, e.g. of a company's proxy
    default_versions: Mapping[str, str] = field(default_factory=dict)  # mise tool -> version


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """A layer that exists in our records; whether the host still has it is asked there."""

    tag: str
    image_id: str
    facts: Mapping[str, Any]  # JSON


@dataclass(frozen=True, slots=True)
class LayerDraft:
    """A layer about to be made: its row and name stand before its image does."""

    row_id: int
    tag: str


class Emit(Protocol):
    """News of a build; calls return at once and come from several threads."""

    def step(self, number: int, message: str) -> None: ...
    def message(self, text: str) -> None: ...
    def system(self, text: str) -> None: ...
    def output(self, lines: Sequence[str]) -> None: ...
    def layer(self, plan: LayerPlan, *, hit: bool, seconds: float) -> None: ...


class Ledger(Protocol):
    """Our records of layers and scratch containers on this host."""

    def note_base(self, ref: str, image: ImageInfo) -> None:
        """The host has this image under that name, for plans to come."""

    def find_layers(self, key: str) -> Sequence[LayerRecord]:
        """Finished layers with the key, newest first."""

    def lease(self, key: str) -> AbstractContextManager[None]:
        """Within it no other job builds the key; waits, raises BuildCancelled."""

    def begin_layer(self, plan: LayerPlan, parent_image_id: str) -> LayerDraft: ...
    def finish_layer(
        self, draft: LayerDraft, image: ImageInfo, facts: Mapping[str, Any]
    ) -> None: ...
    def drop_layer(self, draft: LayerDraft) -> None: ...
    def use_layer(self, tag: str) -> None:
        """The layer was used just now; the sweeper counts from here."""

    def note_scratch(self, name: str) -> None:
        """A container of that name may be there from now on; the sweep finds it by our record."""

    def forget_scratch(self, name: str) -> None:
        """The container is gone for certain."""


class Features(Protocol):
    """Where features come from (crewship.registry.features.FeatureFetcher)."""

    def resolve(self, ref: FeatureRef) -> ResolvedFeature: ...
    def prefetch(self, refs: Iterable[FeatureRef]) -> Mapping[FeatureRef, ResolvedFeature]: ...
    def installable(self, resolved: ResolvedFeature) -> ResolvedFeature:
        """The same feature, downloaded, with its archive's metadata."""

    def archive_tar(self, resolved: ResolvedFeature) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Tools:
    engine: Engine
    features: Features
    ledger: Ledger
    emit: Emit
    cancel: Event
    options: BuildOptions
    mise: Callable[[str], MiseBinary]  # platform -> binary; raises typed errors
    credentials: Callable[[str], RegistryCredentials | None]  # registry host -> login
    disk: Callable[[EngineInfo], DiskSpace | None] = engine_disk  # None: it is not seen here

    def check_cancelled(self) -> None:
        if self.cancel.is_set():
            raise BuildCancelled("The build was stopped.")

    def archive_tar(self, resolved: ResolvedFeature) -> bytes:
        """As ``features.archive_tar``; BuildCancelled at once after a cancel, even if the registry
        dawdles over an archive that is not in the store any more."""
        archive = start(lambda: self.features.archive_tar(resolved), "fetch-archive")
        return result_of(archive, self.cancel)


@dataclass(frozen=True, slots=True)
class BaseProbe:
    """What the base image has, see ``probe.py``; "" stands for nothing."""

    bash: str = ""  # where its bash is
    package_manager: str = ""  # "apt-get"
    libc: str = ""  # "glibc" | "musl"
    agent_uid: str = ""  # of the user agent
    agent_home: str = ""
    uid_owners: tuple[str, ...] = ()  # who has the uid 1001
    missing: tuple[str, ...] = ()  # programs that no build can do without


@dataclass(frozen=True, slots=True)
class Context:
    """Filled from left to right: each step adds what it found out."""

    request: BuildRequest
    host: EngineInfo | None = None
    platform: str = ""
    base: ImageInfo | None = None
    probe: BaseProbe = BaseProbe()
    ordered: tuple[tuple[FeatureRequest, ResolvedFeature], ...] = ()
    mise: MiseBinary | None = None
    plan: BuildPlan | None = None
    tip: str = ""  # image id of the topmost layer so far
    home: str = AGENT_HOME
    mise_facts: Mapping[str, Any] = field(default_factory=dict)  # {"env": [[k, v]], "tools": …}
    image: ImageInfo | None = None  # the final image
    draft: LayerDraft | None = None  # its name until the cache tag stands

    @property
    def known_host(self) -> EngineInfo:
        if self.host is None:
            raise CrewshipError("the step needs to know the engine, which validate asks")
        return self.host

    @property
    def known_base(self) -> ImageInfo:
        if self.base is None:
            raise CrewshipError("the step needs the base image, which pull-base brings")
        return self.base

    @property
    def known_plan(self) -> BuildPlan:
        if self.plan is None:
            raise CrewshipError("the step needs the plan, which pull-base makes")
        return self.plan


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What a finished build hands to the records."""

    image: ImageInfo
    tag: str
    parent_image_id: str
    requirements: Mapping[str, Any]
    provenance: Mapping[str, Any]
    resolved_features: Sequence[Mapping[str, Any]]
    draft: LayerDraft | None = None  # the image's other name, until all this is recorded
