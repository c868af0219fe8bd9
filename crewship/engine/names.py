"""An image of the host by its name alone.

The engine takes the beginning of an image's id for a name as well: ``eb89`` may be anybody's image.
What a person wrote is therefore held against the names that the found image really bears.
"""

from __future__ import annotations

from crewship.devcontainer.refs import parse_image_ref
from crewship.devcontainer.types import ImageRef
from crewship.domain.errors import InvalidImageRef
from crewship.engine.base import Engine, ImageInfo


def image_named(engine: Engine, wanted: ImageRef) -> ImageInfo | None:
    """The host's image that bears this very name (with a digest: that digest of that repository);
    None when it has none. Raises what ``Engine.image`` does."""
    found = engine.image(str(wanted))
    return found if found is not None and bears(found, wanted) else None


def bears(image: ImageInfo, wanted: ImageRef) -> bool:
    names = image.repo_digests if wanted.digest else image.tags
    return any(_is(name, wanted) for name in names)


def _is(name: str, wanted: ImageRef) -> bool:
    try:
        found = parse_image_ref(name)
    except InvalidImageRef:  # a name that no config could ask for
        return False
    if (found.registry, found.repository) != (wanted.registry, wanted.repository):
        return False
    return found.digest == wanted.digest if wanted.digest else found.tag == wanted.tag
