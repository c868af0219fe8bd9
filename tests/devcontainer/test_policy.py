from __future__ import annotations

import pytest

from crewship.devcontainer.policy import Policy
from crewship.devcontainer.refs import parse_feature_ref, parse_image_ref


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/devcontainers/features/node:1",
        "GHCR.io/Devcontainers/Features/Node",
        "ghcr.io/devcontainers-extra/features/deep/x",
        "ghcr.io/crewship-ai/features/x@sha256:" + "a" * 64,
    ],
)
def test_feature_of_a_default_publisher_is_allowed(text: str) -> None:
    assert Policy().allows_publisher(parse_feature_ref(text))


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/devcontainers/features-evil/node",
        "ghcr.io/devcontainers/other/node",
        "ghcr.io/devcontainers-evil/features/node",
        "ghcr.io:8443/devcontainers/features/node",
        "evil.example/ghcr.io/devcontainers/features/node",
        "ghcr.io.evil.example/devcontainers/features/node",
    ],
)
def test_lookalike_of_a_publisher_is_not_allowed(text: str) -> None:
    assert not Policy().allows_publisher(parse_feature_ref(text))


def test_operator_entry_is_matched_without_case_and_trailing_slash() -> None:
    policy = Policy(publishers=("Registry.Example:5443/Acme/",))
    assert policy.allows_publisher(parse_feature_ref("registry.example:5443/acme/x"))


def test_empty_operator_entry_allows_nothing() -> None:
    assert not Policy(publishers=("", "/")).allows_publisher(parse_feature_ref("ghcr.io/o/x"))


@pytest.mark.parametrize(
    "text", ["debian", "ghcr.io/a/b", "mcr.microsoft.com/devcontainers/base:bookworm", "quay.io/a"]
)
def test_image_of_a_default_registry_is_allowed(text: str) -> None:
    assert Policy().allows_image(parse_image_ref(text))


@pytest.mark.parametrize(
    "text",
    [
        "evil.example/a",
        "ghcr.io:5000/a/b",
        "10.0.0.1/a",
        "10.0.0.1:5000/a",
        "[::1]:5000/a",
        "localhost/a",
        "registry:5000/a",
        "crewship-cache:0123456789ab",
        "docker.io/library/crewship-cache",
        "index.docker.io/crewship-layer:x",
    ],
)
def test_image_outside_the_list_is_not_allowed(text: str) -> None:
    assert not Policy().allows_image(parse_image_ref(text))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("10.0.0.1:5000", "10.0.0.1:5000/a"),
        ("registry:5000", "registry:5000/a"),
        ("crewship-cache", "crewship-cache:0123456789ab"),
        ("quay.io/acme", "quay.io/acme/b"),
    ],
)
def test_explicit_entry_allows_what_the_defaults_do_not(entry: str, text: str) -> None:
    assert Policy(registries=(entry,)).allows_image(parse_image_ref(text))


def test_entry_without_port_does_not_cover_another_port() -> None:
    assert not Policy(registries=("10.0.0.1",)).allows_image(parse_image_ref("10.0.0.1:5000/a"))
