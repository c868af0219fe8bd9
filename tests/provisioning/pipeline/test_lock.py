"""A lock given with the config: what was locked is installed, or the job ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crewship.devcontainer.lock import lock_text
from crewship.domain.errors import LockMismatch
from provisioning.pipeline.context import BuiltImage
from tests.provisioning.pipeline.kit import OURS, Kit, features

NAME = f"{OURS}/one:1"


def config(name: str) -> dict[str, Any]:
    return {"features": features(**{name: {}})}


def lock_of(built: BuiltImage) -> dict[str, Any]:
    lock: dict[str, Any] = json.loads(lock_text(built.resolved_features))
    return lock


def digest_of(built: BuiltImage) -> str:
    digest: str = lock_of(built)["features"][NAME]["integrity"]
    return digest


def test_a_moved_tag_stays_where_the_lock_has_it(kit: Kit) -> None:
    first = kit.build(config("one"))
    kit.features.publish("one:1", "v2")
    locked = kit.build(config("one"), lock=lock_of(first))
    assert digest_of(locked) == digest_of(first) != digest_of(kit.build(config("one")))
    assert locked.provenance["lock"] == {NAME: digest_of(first)}


def test_a_locked_build_uses_the_layers_of_the_unlocked_one(kit: Kit) -> None:
    first = kit.build(config("one"))
    kit.build(config("one"), lock=lock_of(first))
    assert ("one:1", True) in kit.emit.layers


def test_a_digest_that_was_never_published_ends_the_job(kit: Kit) -> None:
    lock = lock_of(kit.build(config("one")))
    now = lock["features"][NAME]["integrity"]
    gone = f"sha256:{'0' * 64}"
    lock["features"][NAME] = {"resolved": f"{OURS}/one@{gone}", "integrity": gone, "version": "1"}
    with pytest.raises(LockMismatch) as caught:
        kit.build(config("one"), lock=lock)
    assert caught.value.error_code == "lock_mismatch"
    for part in (NAME, gone, now):
        assert part in caught.value.message


def test_the_records_name_what_a_feature_depends_on(kit: Kit) -> None:
    kit.features.publish("app:1", dependsOn={NAME: {}})
    lock = lock_of(kit.build(config("app")))
    assert lock["features"][f"{OURS}/app:1"]["dependsOn"] == [NAME]
    assert NAME in lock["features"]
