"""An image is found by its names only, on the fake and on the real engine."""

from __future__ import annotations

import pytest

from crewship.devcontainer.refs import parse_image_ref
from crewship.engine.base import ImageConfig, ImageInfo
from crewship.engine.names import bears, image_named
from tests.engine.bench import Bench
from tests.engine.real import BASE_IMAGE

DIGEST = "sha256:" + "d" * 64


def image(*tags: str, digests: tuple[str, ...] = ()) -> ImageInfo:
    return ImageInfo("sha256:" + "e" * 64, tags, digests, "linux/amd64", 1, "", 1, ImageConfig())


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("debian:12", "debian:12"),
        ("docker.io/library/debian:12", "debian:12"),
        ("debian", "debian:latest"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("127.0.0.1:5000/a:1", "127.0.0.1:5000/a:1"),
    ],
)
def test_an_image_bears_its_tag_however_it_is_written(written: str, tag: str) -> None:
    assert bears(image("other:1", tag), parse_image_ref(written))


def test_a_digest_is_that_of_the_repository() -> None:
    held = image("debian:12", digests=(f"debian@{DIGEST}",))
    assert bears(held, parse_image_ref(f"debian@{DIGEST}"))
    assert not bears(held, parse_image_ref(f"ubuntu@{DIGEST}"))
    assert not bears(held, parse_image_ref(f"debian@sha256:{'c' * 64}"))


@pytest.mark.parametrize("written", ["eeee", "docker.io/library/eeee", "debian:11", "debian"])
def test_an_image_does_not_bear_what_else_leads_to_it(written: str) -> None:
    assert not bears(image("debian:12", "<none>:<none>"), parse_image_ref(written))


@pytest.mark.engine
@pytest.mark.parametrize("length", [4, 12, 63])
@pytest.mark.parametrize("prefix", ["", "docker.io/library/"])
def test_the_beginning_of_an_id_is_nobodys_name(
    docker_bench: Bench, prefix: str, length: int
) -> None:
    base = docker_bench.engine.image(BASE_IMAGE)
    assert base is not None
    beginning = base.image_id.removeprefix("sha256:")[:length]
    assert image_named(docker_bench.engine, parse_image_ref(prefix + beginning)) is None
    assert image_named(docker_bench.engine, parse_image_ref(BASE_IMAGE)) == base
