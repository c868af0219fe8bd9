"""The frozen types of a crew's config and of the plan made from it; no parsing, no rules here.

A text becomes a ``CrewSpec`` (what the user asked for), features are resolved and ordered into
``PlannedFeature``s, and all of it becomes a ``BuildPlan``: layers with keys, pure data that says
everything an executor needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from crewship.domain.errors import Problem

Json = Any  # any JSON value: what options, metadata and labels are made of


@dataclass(frozen=True, slots=True)
class FeatureRef:
    """``ghcr.io/devcontainers/features/node:1``: where a feature comes from, lower-cased."""

    registry: str  # "ghcr.io", "registry.example:5443"
    repository: str  # "devcontainers/features/node"
    tag: str = "latest"  # "" when a digest is given
    digest: str = ""  # "sha256:<64 hex>"

    @property
    def id(self) -> str:
        """The feature's short id: the last part of the path."""
        return self.repository.rpartition("/")[2]

    @property
    def resource(self) -> str:
        """Registry and path without version: what publishers and override lists are matched on."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.resource}@{self.digest}" if self.digest else f"{self.resource}:{self.tag}"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A base image's name in docker's reference grammar, with docker.io's defaults filled in."""

    registry: str  # "docker.io"
    repository: str  # "library/debian"
    tag: str  # "bookworm-slim"; "" when only a digest is given
    digest: str = ""
    written: str = ""  # as the user wrote it; what the engine is asked for

    def __str__(self) -> str:
        return self.written


class HookName(StrEnum):
    ON_CREATE = "onCreateCommand"
    UPDATE_CONTENT = "updateContentCommand"
    POST_CREATE = "postCreateCommand"
    POST_START = "postStartCommand"


BAKED_HOOKS = (HookName.ON_CREATE, HookName.UPDATE_CONTENT, HookName.POST_CREATE)


@dataclass(frozen=True, slots=True)
class HookCommand:
    """One process of a hook: a string for ``/bin/sh -c`` or an argv that no shell sees."""

    name: str  # "" unless it is a named entry of the object form
    shell: str | None = None
    argv: tuple[str, ...] | None = None

    def process(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", self.shell) if self.shell is not None else (self.argv or ())


@dataclass(frozen=True, slots=True)
class Hook:
    """A lifecycle command; more than one entry (object form) run side by side."""

    name: HookName
    entries: tuple[HookCommand, ...]


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """A feature as the user (or a dependsOn entry) wrote it. ``options`` has the shorthand
    ``"3.9"`` as ``{"version": "3.9"}`` and ``true`` as ``{}``; ``written_*`` keep the text's."""

    ref: FeatureRef
    options: Mapping[str, Json]
    written_ref: str
    written_options: Json


@dataclass(frozen=True, slots=True)
class LockedFeature:
    """What a lock given with the config says of one reference, as that was written."""

    ref: FeatureRef  # by tag
    digest: str  # "sha256:<64 hex>" of its manifest


@dataclass(frozen=True, slots=True)
class MiseTool:
    name: str  # "node", "npm:prettier"
    versions: tuple[str, ...]  # never empty; "" stands for the catalog's default version


@dataclass(frozen=True, slots=True)
class MiseSpec:
    tools: tuple[MiseTool, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """What shapes a running agent, not the image; never part of the config hash."""

    post_start: Hook | None = None
    mounts: tuple[Mapping[str, str], ...] = ()  # {"source", "target", "type": "volume"}
    init: bool = False
    cap_add: tuple[str, ...] = ()
    remote_env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CrewSpec:
    """Everything a crew's texts say, valid and normalised."""

    base: ImageRef
    features: tuple[FeatureRequest, ...] = ()
    override_order: tuple[str, ...] = ()  # resources without version
    hooks: tuple[Hook, ...] = ()  # the baked ones, in the order they run
    container_env: tuple[tuple[str, str], ...] = ()
    mise: MiseSpec = MiseSpec()
    runtime: RuntimeSettings = RuntimeSettings()
    lock: tuple[LockedFeature, ...] = ()  # of these features and what they need; sorted
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionDeclaration:
    name: str
    type: str  # "string" | "boolean"
    default: str | bool | None = None
    enum: tuple[str, ...] | None = None
    proposals: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class FeatureMetadata:
    """A devcontainer-feature.json, parsed once; ``raw`` is the whole object for labels."""

    id: str = ""
    version: str = ""
    name: str = ""
    description: str = ""
    options: tuple[OptionDeclaration, ...] = ()
    depends_on: tuple[tuple[str, Json], ...] = ()
    installs_after: tuple[str, ...] = ()
    legacy_ids: tuple[str, ...] = ()
    current_id: str = ""
    deprecated: bool = False
    container_env: tuple[tuple[str, str], ...] = ()
    hooks: tuple[Hook, ...] = ()  # all four names
    mounts: tuple[Json, ...] = ()
    entrypoint: str = ""
    init: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    raw: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResolvedFeature:
    """What a reference became: content by digest, and its metadata. ``identity`` is equal for
    equal content (the manifest's digest), wherever it was found."""

    ref: FeatureRef
    identity: str
    metadata: FeatureMetadata
    archive_digest: str = (
        ""  # "sha256:…" of the tgz in the blob store; "" when planned from metadata only
    )


@dataclass(frozen=True, slots=True)
class PlannedFeature:
    """A feature at its place in the install order, options resolved to an environment."""

    request: FeatureRequest
    resolved: ResolvedFeature
    env: tuple[tuple[str, str], ...]  # declaration order, then user-only options


@dataclass(frozen=True, slots=True)
class FeatureRequirements:
    """What base and features of an image ask of the containers made from it, cleared of what no
    crew may have. Stored with the image, so that a cache hit has it too."""

    mounts: tuple[Mapping[str, str], ...] = ()  # named volumes, one a target
    init: bool = False
    cap_add: tuple[str, ...] = ()
    entrypoints: tuple[str, ...] = ()  # in install order
    post_start: tuple[Hook, ...] = ()  # in install order
    remote_env: tuple[tuple[str, str], ...] = ()  # of the base image's label


class LayerKind(StrEnum):
    USER = "user"  # the agent user, uid 1001
    FEATURE = "feature"
    MISE = "mise"
    FINAL = "final"  # lifecycle commands and the image's config; this one gets the cache tag


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer: ``key`` is the SHA-256 over ``parts`` and the parent's key, or None where base
    or a digest is unknown; ``parts`` is kept to explain a miss."""

    kind: LayerKind
    label: str  # "user agent", "node:1", "mise: node@22", "postCreateCommand and config"
    key: str | None
    parts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What the plan needs to know of the base image on this host."""

    image_id: str  # "sha256:…", the config id: the base layer's key
    platform: str  # "linux/amd64"
    layer_count: int
    metadata: tuple[FeatureMetadata, ...] = ()  # the entries of its label devcontainer.metadata


@dataclass(frozen=True, slots=True)
class BuildPlan:
    config_hash: str
    spec: CrewSpec
    features: tuple[PlannedFeature, ...]
    layers: tuple[LayerPlan, ...]
    warnings: tuple[Problem, ...]
    base: tuple[FeatureMetadata, ...] = ()  # as in BaseFacts.metadata
