"""A builder in memory: fake engine, fake features, a ledger and an emitter that remember."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from crewship.devcontainer.config import read_crew
from crewship.devcontainer.hashing import config_hash
from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import FeatureRef, LayerPlan, ResolvedFeature
from crewship.domain.errors import FeatureNotFound
from crewship.engine.base import EngineInfo, ImageConfig, ImageInfo
from crewship.engine.disk import DiskSpace
from crewship.engine.fake import FakeEngine, FakeExec, FakeRun
from crewship.registry.mise import MiseBinary
from provisioning.pipeline.context import (
    FEATURE_DIR,
    BuildOptions,
    BuildRequest,
    BuiltImage,
    LayerDraft,
    LayerRecord,
    Tools,
)
from provisioning.pipeline.execute import execute
from provisioning.pipeline.scratch import tar_of
from provisioning.pipeline.snapshot import VERIFY_SCRIPT

BASE = "debian:bookworm-slim"
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OURS = "ghcr.io/devcontainers/features"


class FakeFeatures:
    """A publisher: ``publish("node:1", {...metadata})``, again to move the tag."""

    def __init__(self) -> None:
        self._published: dict[str, ResolvedFeature] = {}

    def publish(self, name: str, content: str = "v1", **metadata: Any) -> None:
        digest = hashlib.sha256(f"{name}{content}{metadata}".encode()).hexdigest()
        leaf, _, tag = name.partition(":")
        ref = FeatureRef("ghcr.io", f"devcontainers/features/{leaf}", tag or "latest")
        found = ResolvedFeature(
            ref,
            f"sha256:{digest}",
            parse_feature_metadata({"id": leaf, "version": "1.0.0", **metadata}, leaf),
            f"sha256:{digest}",
        )
        self._published[str(ref)] = found
        self._published[f"{ref.resource}@{found.identity}"] = found

    def resolve(self, ref: FeatureRef) -> ResolvedFeature:
        found = self._published.get(str(ref))
        if found is None:
            raise FeatureNotFound(f"There is no feature {ref}.")
        return found

    def prefetch(self, refs: Iterable[FeatureRef]) -> Mapping[FeatureRef, ResolvedFeature]:
        return {}

    def installable(self, resolved: ResolvedFeature) -> ResolvedFeature:
        return resolved

    def archive_tar(self, resolved: ResolvedFeature) -> bytes:
        return tar_of({"install.sh": resolved.ref.id.encode()})


@dataclass
class MemoryLedger:
    drafts: dict[int, tuple[str, str]] = field(default_factory=dict)  # row -> key, tag
    records: dict[str, list[LayerRecord]] = field(default_factory=dict)
    leased: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    containers: set[str] = field(default_factory=set)
    bases: dict[str, str] = field(default_factory=dict)  # ref -> image id

    def note_base(self, ref: str, image: ImageInfo) -> None:
        self.bases[ref] = image.image_id

    def find_layers(self, key: str) -> Sequence[LayerRecord]:
        return self.records.get(key, [])

    @contextmanager
    def lease(self, key: str) -> Iterator[None]:
        assert key not in self.leased
        self.leased.append(key)
        try:
            yield
        finally:
            self.leased.remove(key)

    def begin_layer(self, plan: LayerPlan, parent_image_id: str) -> LayerDraft:
        row = max(self.drafts, default=0) + 1 + sum(map(len, self.records.values()))
        tag = f"crewship-layer:{(plan.key or '')[:32]}-{row}"
        self.drafts[row] = (plan.key or "", tag)
        return LayerDraft(row, tag)

    def finish_layer(self, draft: LayerDraft, image: ImageInfo, facts: Mapping[str, Any]) -> None:
        key, tag = self.drafts.pop(draft.row_id)
        self.records.setdefault(key, []).insert(0, LayerRecord(tag, image.image_id, facts))

    def drop_layer(self, draft: LayerDraft) -> None:
        self.drafts.pop(draft.row_id, None)

    def use_layer(self, tag: str) -> None:
        self.used.append(tag)

    def note_scratch(self, name: str) -> None:
        self.containers.add(name)

    def forget_scratch(self, name: str) -> None:
        self.containers.discard(name)


@dataclass
class MemoryEmit:
    steps: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    layers: list[tuple[str, bool]] = field(default_factory=list)  # label, hit

    def step(self, number: int, message: str) -> None:
        self.steps.append(message)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def system(self, text: str) -> None:
        self.said.append(text)

    def output(self, lines: Sequence[str]) -> None:
        self.lines += lines

    def layer(self, plan: LayerPlan, *, hit: bool, seconds: float) -> None:
        self.layers.append((plan.label, hit))


def usual_programs(call: FakeExec) -> FakeRun | None:
    """What the scripts of the pipeline itself print in a sound image."""
    text = " ".join(call.argv)
    if "uid=1001" in text:
        return FakeRun("home=/home/agent\n")
    if call.argv[-1] == VERIFY_SCRIPT:
        return FakeRun("1001\nagent\n1001\n")
    if call.argv[:2] == ("mise", "bin-paths"):
        return FakeRun("/opt/mise/installs/node/22.1.0/bin\n")
    if call.argv[:2] == ("mise", "env"):
        return FakeRun(json.dumps({"PATH": "/x", "JAVA_HOME": "/opt/java"}))
    if call.argv[:2] == ("mise", "ls"):
        return FakeRun(json.dumps({"node": [{"version": "22.1.0"}]}))
    return None


def feature_of(call: FakeExec) -> str:
    """Which feature's install script a call runs, or nothing."""
    if not call.argv[-1].endswith("./install.sh"):
        return ""
    return call.files[f"{FEATURE_DIR}/install.sh"].decode()


class Kit:
    def __init__(self, mise: Path) -> None:
        self.engine = FakeEngine()
        self.features = FakeFeatures()
        self.ledger = MemoryLedger()
        self.emit = MemoryEmit()
        self.cancel = Event()
        self.options = BuildOptions(policy=Policy(), default_versions={"node": "22"})
        self.scope_key = ""
        self.disk: Callable[[EngineInfo], DiskSpace | None] = lambda info: None
        self._mise = MiseBinary(path=mise, version="2026.9.15", sha256="a" * 64)
        self._jobs = 0
        self.base_id = self.engine.add_image(
            BASE, ImageConfig(env=(("PATH", BASE_PATH),), cmd=("bash",), working_dir="/")
        )
        self.engine.on_exec(usual_programs)

    def build(
        self,
        config: Mapping[str, Any] | None = None,
        mise: Mapping[str, Any] | None = None,
        *,
        rebuild: bool = False,
        lock: Mapping[str, Any] | None = None,
    ) -> BuiltImage:
        """One job; ``emit`` has its news only."""
        self._jobs += 1
        self.emit = MemoryEmit()
        spec = read_crew(
            json.dumps({"image": BASE, **(config or {})}),
            json.dumps(mise) if mise else None,
            None,
            self.options.policy,
            json.dumps(lock) if lock else None,
        )
        hashed = config_hash(spec, self.scope_key)
        request = BuildRequest(
            job_id=f"job_{self._jobs}",
            fence=1,
            spec=spec,
            config_hash=hashed,
            tag=f"crewship-cache:{hashed[:12]}",
            rebuild=rebuild,
            scope_key=self.scope_key,
        )
        return execute(request, self.tools())

    def tools(self) -> Tools:
        return Tools(
            engine=self.engine,
            features=self.features,
            ledger=self.ledger,
            emit=self.emit,
            cancel=self.cancel,
            options=self.options,
            mise=lambda _platform: self._mise,
            credentials=lambda _registry: None,
            disk=self.disk,
        )

    def set_options(self, **changes: Any) -> None:
        self.options = replace(self.options, **changes)

    def left_over(self) -> dict[str, object]:
        """What a failed job must not leave behind: all of it empty."""
        recorded = {r.tag for records in self.ledger.records.values() for r in records}
        tags = {image.tag for image in self.engine.image_tags("crewship-layer")}
        return {
            "containers": self.engine.container_names(""),
            "drafts": self.ledger.drafts,
            "leases": self.ledger.leased,
            "unrecorded layer tags": tags - recorded,
        }


def features(**wanted: Any) -> dict[str, Any]:
    """``features(node={"version": "20"})`` as a config's ``features``."""
    return {f"{OURS}/{name}:1": options for name, options in wanted.items()}
