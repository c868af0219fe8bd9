"""The conformance cases of references and JSONC through the save route, as people paste them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from crewship.devcontainer.policy import Policy
from tests.devcontainer.examples import load_cases
from tests.devcontainer.test_refs import filled


@pytest.fixture
def save(api: Any, set_options: Callable[..., Any]) -> Callable[[str], Any]:
    """Saves a crew with the text, ``registry.example`` being an allowed publisher."""
    publishers = ("registry.example", "registry.example:5443")
    set_options(policy=Policy(publishers=publishers, registries=("docker.io",)))

    def post(text: str) -> Any:
        return api.alice.post(
            "/crews", {"name": "Case", "slug": "case", "devcontainer_config": text}
        )

    return post


@pytest.mark.parametrize("case", load_cases("feature_ref"), ids=lambda c: c["ref"])
def test_a_feature_reference_is_judged_at_save(case: Any, save: Callable[[str], Any]) -> None:
    answer = save(json.dumps({"features": {filled(case["ref"]): {}}}))
    if case["ours"] == "ok":
        assert answer.status_code == 201, answer.json()
        return
    assert answer.status_code == 400
    assert [e["code"] for e in answer.json()["errors"]] == ["invalid_ref"]


# The empty text clears; nothing is parsed then.
JSONC = [case for case in load_cases("jsonc") if case["text"]]


@pytest.mark.parametrize("case", JSONC, ids=lambda c: c["name"])
def test_a_devcontainer_json_is_judged_at_save(case: Any, save: Callable[[str], Any]) -> None:
    answer = save(case["text"])
    if case["ours"] == "error":
        assert answer.status_code == 400
        assert answer.json()["errors"]
        return
    assert answer.status_code == 201, answer.json()
    assert answer.json()["devcontainer_config"] == case["text"]
    assert bool(answer.json()["warnings"]) == (case["ours"] == "ok with warning")
