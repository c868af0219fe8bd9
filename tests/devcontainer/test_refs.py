from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewship.devcontainer.refs import parse_feature_ref, parse_image_ref
from crewship.devcontainer.types import Json
from crewship.domain.errors import InvalidFeatureRef, InvalidImageRef
from tests.devcontainer.examples import load_cases

PLACEHOLDERS = {"<64 hex>": "a" * 64, "<hex>": "a" * 128, "<129 chars>": "a" * 129}
CASES = load_cases("feature_ref")


def filled(text: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


@pytest.mark.parametrize("case", [c for c in CASES if c["ours"] == "ok"], ids=lambda c: c["ref"])
def test_valid_feature_reference_is_read(case: Json) -> None:
    ref = parse_feature_ref(filled(case["ref"]))
    assert ref.registry.startswith("registry.example")


@pytest.mark.parametrize("case", [c for c in CASES if c["ours"] != "ok"], ids=lambda c: c["ref"])
def test_invalid_feature_reference_is_refused(case: Json) -> None:
    with pytest.raises(InvalidFeatureRef) as caught:
        parse_feature_ref(filled(case["ref"]))
    assert caught.value.error_code == "invalid_ref"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ghcr.io/o/f\n",
        "ghcr.io/o/f:1\n",
        "ghcr.io/o/f:1 ",
        "ghcr.io:0/o/f",
        "ghcr.io:65536/o/f",
        "ghcr.io:/o/f",
        "user@ghcr.io/o/f",
        "ghcr.io/o/../f",
        "ghcr.io/o/\N{KELVIN SIGN}it",
        "ghcr.io/o/f\0",
        "-x.io/o/f",
        "ghcr.io/" + "o/" * 300 + "f",
    ],
)
def test_hostile_feature_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidFeatureRef):
        parse_feature_ref(text)


def test_feature_without_tag_means_latest() -> None:
    assert str(parse_feature_ref("ghcr.io/O/Fig")) == "ghcr.io/o/fig:latest"


def test_colon_before_the_last_slash_is_a_port() -> None:
    ref = parse_feature_ref("registry.example:5443/o/fig")
    assert (ref.registry, ref.repository, ref.tag) == ("registry.example:5443", "o/fig", "latest")


def test_digest_leaves_the_tag_empty() -> None:
    ref = parse_feature_ref("ghcr.io/o/fig@sha256:" + "A" * 64)
    assert (ref.tag, ref.digest) == ("", "sha256:" + "a" * 64)


PART = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True).filter(lambda t: len(t) < 20)
TAG = st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
DIGEST = st.from_regex(r"@sha256:[0-9a-f]{64}", fullmatch=True)


@given(st.lists(PART, min_size=2, max_size=5), st.one_of(st.just(""), TAG, DIGEST))
def test_feature_reference_survives_being_written_and_read(parts: list[str], end: str) -> None:
    ref = parse_feature_ref("ghcr.io/" + "/".join(parts) + end)
    assert parse_feature_ref(str(ref)) == ref


@given(st.text(max_size=60))
def test_any_text_is_a_feature_reference_or_a_typed_error(text: str) -> None:
    try:
        ref = parse_feature_ref(text)
    except InvalidFeatureRef:
        return
    assert parse_feature_ref(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("debian", "docker.io", "library/debian", "latest"),
        ("debian:bookworm-slim", "docker.io", "library/debian", "bookworm-slim"),
        ("index.docker.io/debian", "docker.io", "library/debian", "latest"),
        ("library/debian:12", "docker.io", "library/debian", "12"),
        ("acme/tool", "docker.io", "acme/tool", "latest"),
        ("ghcr.io/acme/tool:1", "ghcr.io", "acme/tool", "1"),
        ("localhost/tool", "localhost", "tool", "latest"),
        ("registry:5000/tool", "registry:5000", "tool", "latest"),
        ("[::1]:5000/tool:2", "[::1]:5000", "tool", "2"),
        ("GHCR.io/acme/tool", "ghcr.io", "acme/tool", "latest"),
        ("quay.io/a/b__c--d.e", "quay.io", "a/b__c--d.e", "latest"),
    ],
)
def test_image_name_is_read_as_docker_reads_it(
    text: str, registry: str, repository: str, tag: str
) -> None:
    ref = parse_image_ref(text)
    assert (ref.registry, ref.repository, ref.tag) == (registry, repository, tag)
    assert str(ref) == text


def test_image_may_have_tag_and_digest() -> None:
    ref = parse_image_ref("debian:12@sha256:" + "a" * 64)
    assert (ref.tag, ref.digest) == ("12", "sha256:" + "a" * 64)


def test_image_with_a_digest_only_has_no_tag() -> None:
    assert parse_image_ref("debian@sha256:" + "a" * 64).tag == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        " debian",
        "debian\n",
        "Debian",
        "debian:",
        "debian:-x",
        "debian@sha256:beef",
        "debian/",
        "/debian",
        "ghcr.io/",
        "ghcr.io//x",
        "ghcr.io/a___b",
        "a" * 64,
        "sha256:" + "a" * 64,
        "sha256:abcd",
        "docker.io/sha256:abcd",
        "docker.io/library/sha256:abcd",
        "scratch",
        "https://ghcr.io/a/b",
        "debian:" + "a" * 129,
        "x/" * 200 + "y",
        "debian --privileged",
    ],
)
def test_malformed_image_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidImageRef) as caught:
        parse_image_ref(text)
    assert caught.value.error_code == "image_invalid"
