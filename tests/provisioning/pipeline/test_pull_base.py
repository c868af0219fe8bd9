"""Fetching side by side: who gives up does not wait for those that dawdle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from crewship.devcontainer.types import FeatureRef, ResolvedFeature
from crewship.domain.errors import BuildCancelled, ImageNotFound
from crewship.registry.mise import MiseBinary
from provisioning.pipeline.context import Tools
from tests.provisioning.pipeline.kit import FakeFeatures, Kit, features

STUCK_S = 60.0


@pytest.fixture
def let_go() -> Iterator[Event]:
    """Whatever is stuck ends with the test."""
    event = Event()
    yield event
    event.set()


class StuckFeatures(FakeFeatures):
    """A registry that takes a request, says ``asked``, and does not answer."""

    def __init__(self, let_go: Event) -> None:
        super().__init__()
        self.asked = Event()
        self._let_go = let_go

    def prefetch(self, refs: Iterable[FeatureRef]) -> Mapping[FeatureRef, ResolvedFeature]:
        self.asked.set()
        self._let_go.wait(STUCK_S)
        return {}

    def archive_tar(self, resolved: ResolvedFeature) -> bytes:
        self.asked.set()
        self._let_go.wait(STUCK_S)
        return super().archive_tar(resolved)


def cancel_once(asked: Event, kit: Kit) -> None:
    def cancel() -> None:
        asked.wait(STUCK_S)
        kit.cancel.set()

    Thread(target=cancel, daemon=True).start()


def test_a_cancelled_job_leaves_a_registry_that_dawdles(kit: Kit, let_go: Event) -> None:
    stuck = StuckFeatures(let_go)
    stuck.publish("one:1")
    kit.features = stuck
    cancel_once(stuck.asked, kit)
    with pytest.raises(BuildCancelled):
        kit.build({"features": features(one={})})
    assert not let_go.is_set()


def test_a_cancelled_job_leaves_an_archive_that_dawdles(kit: Kit, let_go: Event) -> None:
    stuck = StuckFeatures(let_go)
    stuck.publish("one:1")
    kit.features = stuck
    tools = kit.tools()
    cancel_once(stuck.asked, kit)
    with pytest.raises(BuildCancelled):
        tools.archive_tar(stuck.resolve(FeatureRef("ghcr.io", "devcontainers/features/one", "1")))


def test_a_cancelled_job_leaves_a_mise_that_dawdles(
    kit: Kit, let_go: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(_platform: str) -> MiseBinary:
        kit.cancel.set()
        let_go.wait(STUCK_S)
        raise AssertionError

    tools = kit.tools

    def with_stuck_mise() -> Tools:
        return replace(tools(), mise=stuck)

    monkeypatch.setattr(kit, "tools", with_stuck_mise)
    with pytest.raises(BuildCancelled):
        kit.build(mise={"tools": {"node": "22"}})


def test_a_failed_base_is_told_while_features_dawdle(kit: Kit, let_go: Event) -> None:
    stuck = StuckFeatures(let_go)
    stuck.publish("one:1")
    kit.features = stuck
    config: dict[str, Any] = {"image": "debian:absent", "features": features(one={})}
    with pytest.raises(ImageNotFound):
        kit.build(config)
    assert not let_go.is_set()
