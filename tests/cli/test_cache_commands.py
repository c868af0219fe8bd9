"""``crewship cache`` and the catalogs' lists."""

from __future__ import annotations

from cache.models import CachedImage
from tests.cli.conftest import Crewship
from tests.conftest import ImageMaker


def test_images_are_listed_with_size_age_and_slugs(
    crewship: Crewship, cached: CachedImage, make_image: ImageMaker
) -> None:
    make_image("cd" * 32, size_bytes=824_191_022, age_s=3 * 3600)
    lines = crewship("cache", "ls").stdout.splitlines()
    assert lines[1].split() == [cached.tag, "1.0", "kB", "just", "now", "backend"]
    assert lines[2].split()[1:] == ["824", "MB", "3", "h", "ago", "-"]


def test_an_image_in_use_is_refused_with_the_slugs(crewship: Crewship, cached: CachedImage) -> None:
    for name in (cached.tag, cached.tag.partition(":")[2]):
        result = crewship("cache", "rm", name)
        assert result.exit_code == 2
        assert "Used by backend:" in result.stderr
        assert len(result.stderr.splitlines()) == 2


def test_an_image_of_others_is_refused_without_their_names(
    crewship: Crewship, cached: CachedImage
) -> None:
    result = crewship("cache", "rm", cached.tag, by="mallory")
    assert result.exit_code == 2
    assert "backend" not in result.output
    assert "another workspace" in result.stderr


def test_a_tag_that_is_none_is_refused(crewship: Crewship) -> None:
    for name in ("crewship-cache:abcdefabcdef", "nonsense", "../crews", "a?b"):
        assert crewship("cache", "rm", name).exit_code == 2


def test_features_and_runtimes_can_be_searched(crewship: Crewship) -> None:
    assert "ghcr.io/devcontainers/features/go:1" in crewship("features", "list").stdout
    found = crewship.json("features", "list", "--search", "Terraform")["features"]
    assert [entry["ref"].rpartition("/")[2] for entry in found] == ["terraform:1"]
    assert "default 22" in crewship("runtimes", "list", "--search", "node.js").stdout
    assert "Nothing matches 'zzz'." in crewship("runtimes", "list", "--search", "zzz").stdout
