"""References to features and images: text in, frozen value out, or a typed error."""

from __future__ import annotations

import re
from typing import Final

from crewship.devcontainer.findings import shorten
from crewship.devcontainer.types import FeatureRef, ImageRef
from crewship.domain.errors import InvalidFeatureRef, InvalidImageRef

MAX_REF_LENGTH: Final = 512  # characters
MAX_NAME_LENGTH: Final = 255  # docker's limit on registry and repository together

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?")
_IPV6 = re.compile(r"\[[0-9a-f:]+\](?::[0-9]{1,5})?")
_FEATURE_PART = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_IMAGE_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BARE_ID = re.compile(r"[0-9a-f]{64}")


def parse_feature_ref(text: str) -> FeatureRef:
    """The reference, lower-cased, ``latest`` where neither tag nor digest is given.

    Grammar: devcontainers spec, "Referencing a Feature", OCI form only; local folders, tarballs
    and bare names are refused. Raises InvalidFeatureRef.
    """
    if len(text) > MAX_REF_LENGTH:
        raise _bad_feature(text, f"it is longer than {MAX_REF_LENGTH} characters")
    # ASCII first: lower() turns some other letters, such as the Kelvin sign, into ASCII ones.
    if not text.isascii():
        raise _bad_feature(text, "only ASCII characters are allowed")
    name, at, digest = text.lower().partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad_feature(text, "after '@' there must be sha256: and 64 hexadecimal digits")
    path, tag = _split_tag(name)
    if tag is not None and at:
        raise _bad_feature(text, "give a tag or a digest, not both")
    if tag is not None and not _TAG.fullmatch(tag):
        raise _bad_feature(text, "the tag is not valid")
    host, *parts = path.split("/")
    if path.startswith((".", "/")) or "://" in path:
        raise _bad_feature(text, "only features of an OCI registry can be used")
    if not _is_host(host):
        raise _bad_feature(text, "it must start with a registry such as ghcr.io")
    if len(parts) < 2 or not all(_FEATURE_PART.fullmatch(part) for part in parts):
        raise _bad_feature(text, "after the registry there must be a namespace and an id")
    return FeatureRef(host, "/".join(parts), "" if at else tag or "latest", digest)


def parse_image_ref(text: str) -> ImageRef:
    """The image's name with docker.io's defaults filled in; ``written`` is ``text``.

    Grammar: distribution/reference as docker normalises it. Raises InvalidImageRef.
    """
    if len(text) > MAX_REF_LENGTH:
        raise _bad_image(text, f"it is longer than {MAX_REF_LENGTH} characters")
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _bad_image(text, "after '@' there must be sha256: and 64 hexadecimal digits")
    name, tag = _split_tag(name)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _bad_image(text, "the tag is not valid")
    if _BARE_ID.fullmatch(name):
        raise _bad_image(text, "an image id is not a name")
    registry, repository = _split_registry(name)
    if not _is_host(registry, dotted=False):
        raise _bad_image(text, "the registry's name is not valid")
    if not all(_IMAGE_PART.fullmatch(part) for part in repository.split("/")):
        raise _bad_image(text, "the repository's name is not valid (lower-case letters, digits)")
    if len(registry) + 1 + len(repository) > MAX_NAME_LENGTH:
        raise _bad_image(text, f"its name is longer than {MAX_NAME_LENGTH} characters")
    if repository in {"sha256", "library/sha256"}:  # how the engine writes an image's id
        raise _bad_image(text, "an image id is not a name")
    if (registry, repository) == ("docker.io", "library/scratch"):
        raise _bad_image(text, "scratch is empty and cannot be started from")
    return ImageRef(registry, repository, tag or ("" if at else "latest"), digest, text)


def _split_tag(name: str) -> tuple[str, str | None]:
    """Only a colon after the last slash starts a tag; before it, it is a port's."""
    colon = name.rfind(":")
    if colon <= name.rfind("/"):
        return name, None
    return name[:colon], name[colon + 1 :]


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    registry, repository = (first.lower(), rest) if slash and is_host else ("docker.io", name)
    if registry in {"docker.io", "index.docker.io"}:
        registry = "docker.io"
        if "/" not in repository:
            repository = f"library/{repository}"
    return registry, repository


def _is_host(host: str, *, dotted: bool = True) -> bool:
    """Whether ``host`` is a registry's; ``dotted`` wants a dot, a port or localhost in it."""
    if dotted and not ("." in host or ":" in host or host == "localhost"):
        return False
    if not (_HOST.fullmatch(host) or _IPV6.fullmatch(host)):
        return False
    port = host.rpartition(":")[2] if host.rfind(":") > host.rfind("]") else ""
    return not port or 1 <= int(port) <= 65535


def _bad_feature(text: str, reason: str) -> InvalidFeatureRef:
    return InvalidFeatureRef(f"{shorten(text)!r} is no feature reference: {reason}")


def _bad_image(text: str, reason: str) -> InvalidImageRef:
    return InvalidImageRef(f"{shorten(text)!r} is no image name: {reason}")
