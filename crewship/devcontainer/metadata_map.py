"""Features' metadata from a file: what ``crewship plan --metadata`` plans with, offline."""

from __future__ import annotations

from collections.abc import Callable

from crewship.devcontainer import jsonc
from crewship.devcontainer.canonical import digest
from crewship.devcontainer.findings import type_name
from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.types import FeatureRef, ResolvedFeature
from crewship.domain.errors import ConfigInvalid, InvalidFeatureRef, Problem


def load_metadata_map(text: str) -> Callable[[FeatureRef], ResolvedFeature | None]:
    """A resolver that knows exactly the references in ``text``, a JSON map of reference to parts
    of a devcontainer-feature.json.

    A reference without a tag is looked up as written, then as ``:latest``. Entries of equal
    content and id (the last part of the path unless the entry has one) are one artifact. Raises
    ConfigInvalid for a broken map, FeatureInvalid for broken metadata in it.
    """
    value = jsonc.parse(text)
    if not isinstance(value, dict):
        raise ConfigInvalid(
            [Problem("", "wrong_type", f"expected an object, found {type_name(value)}")]
        )
    entries: dict[FeatureRef, ResolvedFeature] = {}
    problems: list[Problem] = []
    # Keys without a tag come last, and so win over the same one with :latest.
    for written in sorted(value, key=lambda key: ":" not in key.rpartition("/")[2]):
        parts = value[written]
        try:
            ref = parse_feature_ref(written)
        except InvalidFeatureRef as error:
            problems.append(Problem(written, error.error_code, error.message))
            continue
        if not isinstance(parts, dict):
            message = f"expected an object, found {type_name(parts)}"
            problems.append(Problem(written, "wrong_type", message))
            continue
        content = {**parts, "id": parts.get("id") or ref.id}
        entries[ref] = ResolvedFeature(
            ref, f"sha256:{digest(content)}", parse_feature_metadata(parts, str(ref))
        )
    if problems:
        raise ConfigInvalid(problems)
    return entries.get
