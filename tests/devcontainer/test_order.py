from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import pytest

from crewship.devcontainer.collation import text_key
from crewship.devcontainer.metadata_map import load_metadata_map
from crewship.devcontainer.order import order_features
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import FeatureRef, FeatureRequest, Json, ResolvedFeature
from crewship.domain.errors import (
    ConfigInvalid,
    CrewshipError,
    FeatureCycle,
    FeatureNotFound,
    PublisherNotAllowed,
    TooManyFeatures,
)
from tests.devcontainer.examples import OURS, POLICY, load_cases, spec_of

CASES = load_cases("feature_order")

Ordered = Sequence[tuple[FeatureRequest, ResolvedFeature]]


def order(
    features: Mapping[str, Json],
    metadata: Mapping[str, Json],
    override: Sequence[str] = (),
    *,
    policy: Policy = POLICY,
    prefetch: Callable[[Sequence[FeatureRef]], None] | None = None,
) -> Ordered:
    spec = spec_of({"features": features, "overrideFeatureInstallOrder": list(override)})
    resolve = load_metadata_map(json.dumps(metadata))
    return order_features(
        spec.features,
        spec.override_order,
        resolve,
        policy=policy,
        prefetch=prefetch,
        aliases=resolve,
    )


def names(ordered: Ordered) -> list[str]:
    return [request.ref.id for request, _ in ordered]


def ours(entries: Mapping[str, Json]) -> dict[str, Json]:
    return {f"{OURS}/{name}": value for name, value in entries.items()}


@pytest.mark.parametrize("case", [c for c in CASES if not c["error"]], ids=lambda c: c["name"])
def test_order_is_the_references(case: Json) -> None:
    ordered = order(case["features"], case["metadata"], case["override"])
    assert [request.written_ref for request, _ in ordered] == case["expected"]
    assert [request.written_options for request, _ in ordered] == case["expected_options"]


@pytest.mark.parametrize("case", [c for c in CASES if not c["error"]], ids=lambda c: c["name"])
def test_order_needs_no_look_up_of_soft_targets(case: Json) -> None:
    spec = spec_of({"features": case["features"], "overrideFeatureInstallOrder": case["override"]})
    resolve = load_metadata_map(json.dumps(case["metadata"]))
    ordered = order_features(spec.features, spec.override_order, resolve, policy=POLICY)
    assert [request.written_ref for request, _ in ordered] == case["expected"]


@pytest.mark.parametrize("case", [c for c in CASES if c["error"]], ids=lambda c: c["name"])
def test_impossible_order_is_a_typed_error(case: Json) -> None:
    with pytest.raises(CrewshipError) as caught:
        order(case["features"], case["metadata"], case["override"])
    assert caught.value.error_code == case["error"]


@pytest.mark.parametrize("case", [c for c in CASES if not c["error"]], ids=lambda c: c["name"])
def test_order_does_not_depend_on_the_order_of_the_text(case: Json) -> None:
    backwards = dict(reversed(case["features"].items()))
    ordered = order(backwards, case["metadata"], case["override"])
    # Of two names of one artifact the first-listed stays: compare the content.
    straight = order(case["features"], case["metadata"], case["override"])
    assert [r.identity for _, r in ordered] == [r.identity for _, r in straight]


def test_cycle_names_those_that_are_left() -> None:
    metadata = ours({"a": {"dependsOn": ours({"b": {}})}, "b": {"dependsOn": ours({"a": {}})}})
    with pytest.raises(FeatureCycle, match=f"{OURS}/a:latest, {OURS}/b:latest"):
        order(ours({"a": {}}), metadata)


def test_missing_dependency_has_the_path_to_it() -> None:
    with pytest.raises(FeatureNotFound) as caught:
        order(ours({"a": {}}), ours({"a": {"dependsOn": ours({"ghost:1": {}})}}))
    assert caught.value.error_code == "not_found"
    assert caught.value.extra["path"] == f"features.{OURS}/a.dependsOn.{OURS}/ghost:1"


def test_dependency_of_another_publisher_is_refused_before_it_is_asked_for() -> None:
    asked: list[FeatureRef] = []
    metadata = ours({"a": {"dependsOn": {"ghcr.io/evil/features/x:1": {}}}})
    with pytest.raises(PublisherNotAllowed):
        order(ours({"a": {}}), metadata, prefetch=asked.extend)
    assert [ref.id for ref in asked] == ["a"]


def test_dependency_that_is_no_reference_is_refused() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        order(ours({"a": {}}), ours({"a": {"dependsOn": {"./b": {}}}}))
    assert [p.code for p in caught.value.problems] == ["invalid_ref"]


def test_fifty_features_with_dependencies_are_possible() -> None:
    needed = ours({f"d{n}": {} for n in range(49)})
    metadata = {**ours({"a": {"dependsOn": needed}}), **{r: {"name": r} for r in needed}}
    assert len(order(ours({"a": {}}), metadata)) == 50


def test_one_more_is_too_many() -> None:
    needed = ours({f"d{n}": {} for n in range(50)})
    metadata = {**ours({"a": {"dependsOn": needed}}), **{r: {"name": r} for r in needed}}
    with pytest.raises(TooManyFeatures):
        order(ours({"a": {}}), metadata)


def test_long_chain_is_followed_up_to_the_limit() -> None:
    chain = ours({f"c{n}": {"dependsOn": ours({f"c{n + 1}": {}})} for n in range(60)})
    with pytest.raises(TooManyFeatures):
        order(ours({"c0": {}}), chain)


def test_each_level_is_fetched_once_and_together() -> None:
    levels: list[list[str]] = []
    metadata = ours(
        {
            "a": {"dependsOn": ours({"c": {}, "d": {}})},
            "b": {"dependsOn": ours({"c": {}})},
            "c": {"name": "c"},
            "d": {"dependsOn": ours({"a": {"x": "1"}})},
        }
    )
    with pytest.raises(FeatureCycle):
        order(
            ours({"a": {}, "b": {}}),
            metadata,
            prefetch=lambda refs: levels.append([ref.id for ref in refs]),
        )
    assert levels == [["a", "b"], ["c", "d"]]


def test_old_feature_is_found_by_the_new_name_its_package_knows() -> None:
    metadata = ours(
        {
            "ant": {"installsAfter": [f"{OURS}/bumble"]},
            "bee": {"name": "published before the rename"},
            "bumble": {"legacyIds": ["bee"]},
        }
    )
    assert names(order(ours({"ant": {}, "bee": {}}), metadata)) == ["bee", "ant"]


def test_soft_target_without_a_namespace_is_one_of_the_same() -> None:
    metadata = ours({"ant": {"installsAfter": ["bee"]}, "bee": {}})
    assert names(order(ours({"ant": {}, "bee": {}}), metadata)) == ["bee", "ant"]


def test_equal_leaf_of_another_namespace_is_another_feature() -> None:
    metadata = {
        **ours({"ant": {"installsAfter": [f"{OURS}/bee"]}}),
        "ghcr.io/devcontainers/features/bee": {},
    }
    features = {**ours({"ant": {}}), "ghcr.io/devcontainers/features/bee": {}}
    assert names(order(features, metadata)) == ["ant", "bee"]


def test_shorthand_and_its_object_are_one_install() -> None:
    metadata = ours({"app": {"dependsOn": ours({"lib": {"version": "2"}})}, "lib": {}})
    assert names(order(ours({"lib": "2", "app": {}}), metadata)) == ["lib", "app"]


def test_texts_are_sorted_as_icu_sorts_them() -> None:
    texts = ["ab", "a1b", "A-b", "a-b", "a_b", "a.b", "a", "B", "b"]
    assert sorted(texts, key=text_key) == ["a", "a_b", "a-b", "A-b", "a.b", "a1b", "ab", "b", "B"]


def test_reference_without_tag_is_looked_up_as_latest_too() -> None:
    assert names(order(ours({"a": {}}), ours({"a:latest": {}}))) == ["a"]


def test_broken_metadata_map_is_refused() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_metadata_map(json.dumps({"fig": {}, f"{OURS}/x": []}))
    assert [p.code for p in caught.value.problems] == ["invalid_ref", "wrong_type"]
