"""Short ways to the objects that the tests of this room talk about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from crewship.devcontainer.config import read_crew
from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.plan import make_plan
from crewship.devcontainer.policy import PUBLISHERS, REGISTRIES, Policy
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.types import (
    BaseFacts,
    BuildPlan,
    CrewSpec,
    FeatureRequest,
    Json,
    MiseSpec,
    ResolvedFeature,
)

OURS = "ghcr.io/crewship-ai/features"
POLICY = Policy(
    publishers=(*PUBLISHERS, "registry.example"), registries=(*REGISTRIES, "registry.example:5443")
)
BASE = BaseFacts("sha256:" + "b" * 64, "linux/amd64", 1)
MISE = "sha256:" + "e" * 64


def load_cases(name: str) -> list[dict[str, Json]]:
    text = (Path(__file__).parent / "cases" / f"{name}.json").read_text("utf-8")
    return list(json.loads(text))


def spec_of(config: Mapping[str, Json] | str, mise: str | None = None) -> CrewSpec:
    text = config if isinstance(config, str) else json.dumps(config)
    return read_crew(text, mise, None, POLICY)


def resolved(name: str, metadata: Mapping[str, Json] | None = None) -> ResolvedFeature:
    """A published feature; equal names and metadata have equal digests."""
    ref = parse_feature_ref(f"{OURS}/{name}")
    content = hashlib.sha256(repr((name, metadata)).encode()).hexdigest()
    return ResolvedFeature(
        ref, f"sha256:{content}", parse_feature_metadata(metadata or {}, name), f"sha256:{content}"
    )


def requested(name: str, options: Json = None) -> FeatureRequest:
    values = {"version": options} if isinstance(options, str) else options or {}
    ref = parse_feature_ref(f"{OURS}/{name}")
    return FeatureRequest(ref, values, f"{OURS}/{name}", options or {})


def plan_of(
    features: Sequence[tuple[str, Mapping[str, Json]]] = (),
    config: Mapping[str, Json] | None = None,
    *,
    base: BaseFacts | None = BASE,
    mise: str | None = None,
    mise_digest: str | None = MISE,
    scope_key: str = "",
    resolved_mise: MiseSpec | None = None,
) -> BuildPlan:
    """A plan whose features are named with their metadata, without options."""
    return make_plan(
        spec_of(config or {}, mise),
        [(requested(name), resolved(name, metadata)) for name, metadata in features],
        base=base,
        mise_digest=mise_digest,
        scope_key=scope_key,
        resolved_mise=resolved_mise,
    )
