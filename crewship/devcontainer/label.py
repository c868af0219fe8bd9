"""The image label ``devcontainer.metadata`` (spec, "Image Metadata"): read from a base image,
written to ours.

A base image comes from the network, so its label is judged like anything else from there: what
cannot be used is left out with a warning, and no label keeps an image from being used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from crewship.devcontainer.canonical import flaw
from crewship.devcontainer.findings import Findings, shorten, type_name
from crewship.devcontainer.metadata import parse_feature_metadata
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.runtime_settings import read_cap_add, read_mount, read_user
from crewship.devcontainer.types import BuildPlan, FeatureMetadata, Hook, Json
from crewship.domain.errors import FeatureInvalid, Problem

LABEL: Final = "devcontainer.metadata"
AGENT_USER: Final = "agent"
MAX_BYTES: Final = 512 * 1024
MAX_ENTRIES: Final = 500

_HOOKS: Final = (
    "onCreateCommand",
    "updateContentCommand",
    "postCreateCommand",
    "postStartCommand",
    "postAttachCommand",
)
# What the reference keeps of a feature beside its id. privileged and securityOpt are among them
# there; no crew may have those, so no label of ours asks for them.
_OF_FEATURES: Final = (*_HOOKS, "init", "capAdd", "entrypoint", "mounts", "customizations")
_REFUSED: Final = ("privileged", "securityOpt")
# What is used of a base image's entry; its other keys go on into the label of our image only.
_USED: Final = (
    *("id", "containerEnv", "init", "capAdd", "entrypoint", "mounts"),
    *(*_HOOKS[:4], *_REFUSED),
)


def read_label(text: str) -> tuple[tuple[FeatureMetadata, ...], tuple[Problem, ...]]:
    """The label's entries, in its order, and a warning (``label_ignored``, ``user_ignored``) for
    each thing left out. ``raw`` of an entry is its whole object, without what was left out."""
    if not text:
        return (), ()
    findings = Findings()
    entries = [_read_entry(n, item, findings) for n, item in enumerate(_items(text, findings))]
    kept = tuple(entry for entry in entries if entry is not None)
    for key in ("remoteUser", "containerUser"):
        named = [entry.raw[key] for entry in kept if isinstance(entry.raw.get(key), str)]
        read_user(named[-1] if named else None, f"{LABEL}.{key}", findings)
    return kept, tuple(findings.warnings)


def write_label(plan: BuildPlan, policy: Policy) -> str:
    """The label of the plan's image: an array of the base's entries, one a feature in install
    order (id as written, hooks, runtime properties), and one for the config.

    Cleared of what no crew may have. What belongs to a crew and not to its image (postStart,
    mounts, remoteEnv) is not in it: crews with one hash share the image.
    """
    entries = [_cleared(entry.raw, policy) for entry in plan.base]
    for feature in plan.features:
        raw = feature.resolved.metadata.raw
        of_feature = {key: raw[key] for key in _OF_FEATURES if raw.get(key) is not None}
        entries.append({"id": feature.request.written_ref, **_cleared(of_feature, policy)})
    config: dict[str, Json] = {hook.name.value: _hook_json(hook) for hook in plan.spec.hooks}
    if plan.spec.container_env:
        config["containerEnv"] = dict(plan.spec.container_env)
    entries.append({**config, "remoteUser": AGENT_USER})
    text = _json(entries)
    if len(text) > MAX_BYTES:  # only editors' settings are ever that long
        text = _json([{k: v for k, v in e.items() if k != "customizations"} for e in entries])
    return text


def _items(text: str, findings: Findings) -> Sequence[Json]:
    if len(text) > MAX_BYTES:
        _ignore(LABEL, f"more than {MAX_BYTES} characters", findings)
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        _ignore(LABEL, "not valid JSON", findings)
        return ()
    if isinstance(value, dict):  # as the reference wrote it for a single entry
        return (value,)
    if not isinstance(value, list):
        _ignore(LABEL, f"expected an array, found {type_name(value)}", findings)
        return ()
    if len(value) > MAX_ENTRIES:
        _ignore(LABEL, f"{len(value)} entries, at most {MAX_ENTRIES}", findings)
        return ()
    return value


def _read_entry(number: int, value: Json, findings: Findings) -> FeatureMetadata | None:
    path = f"{LABEL}[{number}]"
    if not isinstance(value, dict):
        _ignore(path, f"expected an object, found {type_name(value)}", findings)
        return None
    if flawed := flaw(value):
        _ignore(path, flawed, findings)
        return None
    kept = dict(value)
    for key in _USED:
        try:
            parse_feature_metadata({key: value.get(key)}, key)
        except FeatureInvalid as error:
            del kept[key]
            _ignore(f"{path}.{key}", _reason(error), findings)
    if not isinstance(kept.get("remoteEnv"), dict | None):
        _ignore(f"{path}.remoteEnv", f"found {type_name(kept.pop('remoteEnv'))}", findings)
    used = {key: kept[key] for key in _USED if key in kept}
    return replace(parse_feature_metadata(used, path), raw=kept)


def _ignore(path: str, why: str, findings: Findings) -> None:
    findings.warn(path, "label_ignored", f"ignored: {why}")


def _reason(error: FeatureInvalid) -> str:
    errors = error.extra.get("errors") or ()
    return shorten(errors[0]["message"] if errors else error.message)


def _cleared(raw: Mapping[str, Json], policy: Policy) -> dict[str, Json]:
    entry = {key: value for key, value in raw.items() if key not in _REFUSED}
    if "capAdd" in entry:
        entry["capAdd"] = list(read_cap_add(entry["capAdd"], "", policy, Findings()))
    if isinstance(entry.get("mounts"), list):
        entry["mounts"] = [m for m in entry["mounts"] if read_mount(m, "", Findings())]
    return entry


def _hook_json(hook: Hook) -> Json:
    """The hook in the shortest of the spec's three forms."""
    forms = {
        entry.name: entry.shell if entry.shell is not None else list(entry.argv or ())
        for entry in hook.entries
    }
    return forms[""] if list(forms) == [""] else forms


def _json(entries: Sequence[Mapping[str, Json]]) -> str:
    return json.dumps(entries, separators=(",", ":"))
