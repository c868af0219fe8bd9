"""A devcontainer-lock.json given with a crew: checked with the other texts, part of the hash."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crewship.crews.models import Crew
from provisioning.models import ProvisionJob
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem

REF = "ghcr.io/devcontainers/features/node:1"
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
CONFIG = json.dumps({"features": {REF: {}}})


def lock(digest: str = A, **changes: Any) -> str:
    entry = {"version": "1.6.3", "resolved": f"{REF[:-2]}@{digest}", "integrity": digest}
    return json.dumps({"features": {REF: {**entry, **changes}}}, indent=2)


def patched(api: Api, cast: Cast, **fields: Any) -> dict[str, Any]:
    answer = api.mona.patch(f"/crews/{cast.crew.pk}", fields)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_a_lock_is_kept_byte_for_byte(api: Api, cast: Cast) -> None:
    text = f"// from CI\n{lock()}\r\n"
    body = patched(api, cast, devcontainer_config=CONFIG, lock_config=text)
    assert (body["lock_config"], body["warnings"]) == (text, [])
    assert api.vera.get(f"/crews/{cast.crew.pk}").json()["lock_config"] == text


def test_another_digest_is_another_config(api: Api, cast: Cast) -> None:
    free = patched(api, cast, devcontainer_config=CONFIG)["config_hash"]
    one = patched(api, cast, lock_config=lock())["config_hash"]
    assert patched(api, cast, lock_config=lock(version="2"))["config_hash"] == one
    assert len({free, one, patched(api, cast, lock_config=lock(B))["config_hash"]}) == 3


@pytest.mark.parametrize("empty", [None, ""])
def test_null_and_the_empty_text_clear_it(api: Api, cast: Cast, empty: str | None) -> None:
    free = patched(api, cast, devcontainer_config=CONFIG)["config_hash"]
    patched(api, cast, lock_config=lock())
    body = patched(api, cast, lock_config=empty)
    assert (body["lock_config"], body["config_hash"]) == (None, free)


def test_a_bad_entry_is_refused_with_its_path(api: Api, cast: Cast) -> None:
    fields = {"devcontainer_config": CONFIG, "lock_config": lock(integrity=B)}
    body = problem(api.mona.patch(f"/crews/{cast.crew.pk}", fields), 400, "config_invalid")
    [error] = body["errors"]
    assert error["path"] == f"lock_config.features.{REF}.integrity"
    assert error["code"] == "lock_integrity"


@pytest.mark.parametrize("text", ["{", lock(resolved=f"ghcr.io/x/y@{A}")])
def test_a_lock_is_checked_also_while_there_is_no_config(api: Api, text: str) -> None:
    body = {"name": "New", "slug": "new", "lock_config": text}
    problem(api.mona.post("/crews", body), 400, "config_invalid")


def test_a_lock_may_wait_for_its_config(api: Api, cast: Cast) -> None:
    patched(api, cast, devcontainer_config=CONFIG, lock_config=lock())
    body = patched(api, cast, devcontainer_config=None, mise_config=None)
    assert (body["config_hash"], body["lock_config"]) == (None, lock())


def test_too_long_a_lock_is_refused(api: Api, cast: Cast) -> None:
    fields = {"lock_config": json.dumps({"features": {}, "x": "y" * 102_400})}
    body = problem(api.mona.patch(f"/crews/{cast.crew.pk}", fields), 400, "config_invalid")
    assert [e["code"] for e in body["errors"]] == ["too_large"]


def test_a_job_has_its_own_copy(api: Api, cast: Cast, host: object) -> None:
    patched(api, cast, devcontainer_config=CONFIG, lock_config=lock())
    assert api.mona.post(f"/crews/{cast.crew.pk}/provision").status_code == 202
    patched(api, cast, lock_config=lock(B))
    job = ProvisionJob.objects.get(crew=cast.crew)
    crew = Crew.objects.get(pk=cast.crew.pk)
    assert job.lock_config == lock()
    assert crew.config_hash != job.config_hash
