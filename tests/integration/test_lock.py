"""The lock's whole way: built, exported, given back, insisted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.stack.features import ref
from tests.stack.server import Api

pytestmark = pytest.mark.engine
Config = Callable[..., dict[str, Any]]


def test_an_exported_lock_is_honoured_and_a_wrong_one_refused(
    api: Api, config: Config, slug: str
) -> None:
    crew = api.crew(slug, config(features={ref("note"): {"text": "locked"}}))
    assert api.http.get(f"/crews/{crew}/lock").status_code == 404
    free = api.build(crew)
    text = api.http.get(f"/crews/{crew}/lock").text
    assert api.http.patch(f"/crews/{crew}", json={"lock_config": text}).status_code == 200
    assert api.build(crew) != free

    lock = json.loads(text)
    [entry] = lock["features"].values()
    digest, gone = entry["integrity"], f"sha256:{'0' * 64}"
    broken = {"lock_config": text.replace(digest, gone)}
    assert api.http.patch(f"/crews/{crew}", json=broken).status_code == 200
    api.provision(crew)
    assert api.wait(crew)["status"] == "failed"
    error = api.jobs(crew)[0]["error"]
    assert error["code"] == "lock_mismatch"
    for part in (ref("note"), digest, gone):
        assert part in error["message"]
