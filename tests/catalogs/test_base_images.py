"""The bundled list of base images."""

from __future__ import annotations

from catalogs.base_images import base_images
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.refs import parse_image_ref


def test_exactly_one_image_is_recommended() -> None:
    assert [entry.label for entry in base_images() if entry.recommended] == ["Node 22 (Debian)"]


def test_every_image_is_of_a_registry_that_is_allowed_by_default() -> None:
    registries = {parse_image_ref(entry.image).registry for entry in base_images()}
    assert registries <= set(Policy().registries)


def test_no_image_is_listed_twice() -> None:
    images = [entry.image for entry in base_images()]
    assert len(images) == 9 == len(set(images))
