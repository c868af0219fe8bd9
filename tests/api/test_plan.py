"""POST /crews/{id}/plan and /plan: what a provision would do, with nothing changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost, HostImage, KnownBase, Layer
from crewship.domain.errors import RegistryUnreachable
from crewship.registry.features import FeatureFetcher
from provisioning import dry_run
from tests.cast import Cast
from tests.conftest import Api, ImageMaker
from tests.problem import problem
from tests.rows import all_rows
from tests.stack.features import NAMESPACE, pack_test_features, ref

FIELDS = {"config_hash", "base", "features", "layers", "warnings", "error"}
MORE = {"cached_image", "would_build", "notes"}
CONFIG = {"features": {ref("tool"): {"word": "moin"}, ref("note"): {}}}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_test_features(tmp_path_factory.mktemp("features"))


@pytest.fixture(autouse=True)
def _features(layout: Path, settings: Any, set_options: Callable[..., Any]) -> None:
    registry = replace(settings.CREWSHIP.registry, layouts={NAMESPACE: str(layout)})
    set_options(registry=registry)
    dry_run._recent.clear()


@pytest.fixture
def plan(api: Api, cast: Cast) -> Callable[..., dict[str, Any]]:
    """Bob's plan of the cast's crew with this config."""

    def send(config: Any = CONFIG, **texts: Any) -> dict[str, Any]:
        body = {"devcontainer_config": json.dumps(config), **texts}
        answer = api.bob.post(f"/crews/{cast.crew.pk}/plan", body)
        assert answer.status_code == 200, answer.content
        made: dict[str, Any] = answer.json()
        return made

    return send


@pytest.fixture
def base(host: DockerHost) -> KnownBase:
    return KnownBase.objects.create(
        host=host,
        ref="debian:bookworm-slim",
        image_id="sha256:" + "b" * 64,
        platform="linux/amd64",
        layer_count=1,
        seen_at=timezone.now(),
    )


def test_it_has_the_fields_of_the_command_and_what_the_host_has(plan: Any) -> None:
    made = plan()
    assert set(made) == FIELDS | MORE
    assert made["base"] == "debian:bookworm-slim"
    assert made["error"] is None
    assert [feature["ref"] for feature in made["features"]] == [ref("note"), ref("tool")]
    tool = made["features"][1]
    assert (tool["options"], tool["env"]) == ({"word": "moin"}, {"WORD": "moin"})
    assert [layer["kind"] for layer in made["layers"]] == ["user", "feature", "feature", "final"]


def test_its_hash_is_that_of_the_saved_crew(plan: Any, api: Api, cast: Cast) -> None:
    made = plan()
    saved = api.mona.patch(f"/crews/{cast.crew.pk}", {"devcontainer_config": json.dumps(CONFIG)})
    assert made["config_hash"] == saved.json()["config_hash"]


def test_without_texts_it_is_the_crews_own_config(api: Api, cast: Cast) -> None:
    made = api.bob.post(f"/crews/{cast.crew.pk}/plan").json()
    assert made["config_hash"] == cast.crew.config_hash


def test_texts_alone_need_no_crew(api: Api) -> None:
    made = api.bob.post("/plan", {"runtime_image": "debian:sid", "mise_config": '{"tools": {}}'})
    assert (made.status_code, made.json()["base"]) == (200, "debian:sid")


def test_nothing_changes(plan: Any, base: KnownBase) -> None:
    before = all_rows()
    plan()
    assert all_rows() == before


def test_keys_are_unknown_until_something_was_built_from_the_base(
    plan: Any, host: DockerHost
) -> None:
    made = plan()
    assert {layer["key"] for layer in made["layers"]} == {None}
    assert made["would_build"] is None
    assert made["notes"] == [
        "Keys are unknown: nothing was built from debian:bookworm-slim on the host yet."
    ]


def test_layers_that_the_host_has_are_not_built_again(plan: Any, base: KnownBase) -> None:
    made = plan()
    assert [layer["present"] for layer in made["layers"]] == 4 * [False]
    assert made["would_build"] == 4
    for layer, seen in zip(made["layers"][:2], (True, False), strict=True):
        add_layer(base.host, layer["key"], seen=seen)
    again = plan()
    assert [layer["present"] for layer in again["layers"]] == [True, False, False, False]
    assert again["would_build"] == 3


def add_layer(host: DockerHost, key: str, *, seen: bool) -> None:
    tag = f"crewship-layer:{key[:32]}"
    about = {"host": host, "tag": tag, "image_id": f"sha256:{key}"}
    Layer.objects.create(key=key, kind="feature", last_used_at=timezone.now(), **about)
    if seen:
        HostImage.objects.create(updated_at=timezone.now(), **about)


def test_a_cached_image_leaves_nothing_to_build(
    plan: Any, base: KnownBase, make_image: ImageMaker
) -> None:
    image = make_image(plan()["config_hash"])
    made = plan()
    assert (made["cached_image"], made["would_build"]) == (image.tag, 0)
    assert made["layers"][-1]["present"] is True
    CachedImage.objects.update(deleting_at=timezone.now())
    assert plan()["cached_image"] is None


def test_what_cannot_be_saved_is_400_as_there(api: Api, cast: Cast) -> None:
    body = {"devcontainer_config": '{"privileged": true, "image": 1}'}
    planned = problem(api.bob.post(f"/crews/{cast.crew.pk}/plan", body), 400, "config_invalid")
    saved = problem(api.mona.patch(f"/crews/{cast.crew.pk}", body), 400, "config_invalid")
    assert planned["errors"] == saved["errors"]


@pytest.mark.parametrize("body", [{}, {"devcontainer_config": ""}, {"devcontainer_config": None}])
def test_nothing_to_plan_is_400(api: Api, body: dict[str, Any]) -> None:
    problem(api.bob.post("/plan", body), 400, "no_devcontainer_config")


@pytest.mark.parametrize(
    ("features", "code", "path"),
    [
        ({f"{NAMESPACE}/absent:1": {}}, "not_found", "features"),
        ({ref("note"): {"PATH": "x"}}, "option_invalid", f"features.{ref('note')}"),
    ],
)
def test_what_only_registries_can_tell_is_in_the_answer(
    plan: Any, features: Any, code: str, path: str
) -> None:
    made = plan({"features": features})
    assert made["error"]["code"] == code
    assert made["error"]["path"].startswith(path)
    assert (made["features"], made["layers"], made["would_build"]) == ([], [], None)
    assert len(made["config_hash"]) == 64


def test_a_registry_that_is_away_is_an_error_in_the_answer(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> None:
        raise RegistryUnreachable("ghcr.io: it is away")

    monkeypatch.setattr(dry_run, "ordered_features", away)
    assert plan()["error"] == {
        "code": "registry_unreachable",
        "message": "ghcr.io: it is away",
        "path": None,
    }


def test_a_registry_that_hangs_is_waited_for_so_long(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "PATIENCE_S", 0.1)
    monkeypatch.setattr(dry_run, "ordered_features", lambda *args: time.sleep(0.5))
    began = time.monotonic()
    assert plan()["error"]["code"] == "registry_unreachable"
    assert time.monotonic() - began < 0.45


def test_registries_are_not_asked_again_at_once(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    resolve = FeatureFetcher.resolve

    def counted(self: Any, wanted: Any, written: str = "") -> Any:
        asked.append(str(wanted))
        return resolve(self, wanted, written)

    monkeypatch.setattr(FeatureFetcher, "resolve", counted)
    plan()
    first = len(asked)
    plan({"features": {ref("tool"): {"word": "other"}}})
    assert first > 0
    assert len(asked) == first


def test_a_workspaces_own_scope_is_in_the_hash(plan: Any, set_options: Callable[..., Any]) -> None:
    shared = plan()["config_hash"]
    set_options(cache_scope="workspace")
    assert plan()["config_hash"] != shared
