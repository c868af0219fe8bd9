"""devcontainer-feature.json (spec, "devcontainer Features"): tolerant of what it does not know,
strict about the shape of what it uses. The text comes from the network: nothing here trusts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crewship.devcontainer.canonical import canonical, flaw
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.hooks import read_hooks
from crewship.devcontainer.runtime_settings import read_bool, read_strings
from crewship.devcontainer.types import FeatureMetadata, Json, OptionDeclaration
from crewship.domain.errors import FeatureInvalid

MAX_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 1000  # of any one list or map


def parse_feature_metadata(raw: Mapping[str, Json], label: str) -> FeatureMetadata:
    """The metadata; ``label`` names the feature in messages.

    Scalars of ``containerEnv`` and of option defaults become their JSON text. Raises
    FeatureInvalid where a known key has another shape than the spec's, and for values that cannot
    be used safely: NUL, half surrogate pairs, deep nesting, more than 1 MiB.
    """
    flawed = flaw(raw if isinstance(raw, dict) else dict(raw))
    if not flawed and len(canonical(dict(raw))) > MAX_BYTES:
        flawed = f"more than {MAX_BYTES} bytes"
    if flawed:
        raise FeatureInvalid(f"the metadata of {shorten(label)} cannot be used: {flawed}")
    findings = Findings()
    metadata = _read(raw, findings)
    if findings.problems:
        raise FeatureInvalid(
            f"the metadata of {shorten(label)} cannot be used: {findings.problems[0]}",
            extra={"errors": [problem.as_dict() for problem in findings.problems]},
        )
    return metadata


def scalar_text(value: Json) -> str | None:
    """A string as it is, a number or boolean as in JSON; None for everything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def _read(raw: Mapping[str, Json], findings: Findings) -> FeatureMetadata:
    def text(key: str) -> str:
        value = scalar_text(raw.get(key, ""))
        if value is None and raw[key] is not None:
            findings.wrong_type(key, "a string", raw[key])
        return value or ""

    def strings(key: str) -> tuple[str, ...]:
        return read_strings(raw.get(key), key, findings)

    return FeatureMetadata(
        id=text("id"),
        version=text("version"),
        name=text("name"),
        description=text("description"),
        options=_read_options(raw.get("options"), findings),
        depends_on=tuple(_entries(raw.get("dependsOn"), "dependsOn", findings).items()),
        installs_after=strings("installsAfter"),
        legacy_ids=strings("legacyIds"),
        current_id=text("currentId"),
        deprecated=read_bool(raw.get("deprecated"), "deprecated", findings),
        container_env=_read_env(raw.get("containerEnv"), findings),
        hooks=read_hooks(raw, findings),
        mounts=_read_list(raw.get("mounts"), "mounts", findings),
        entrypoint=text("entrypoint"),
        init=read_bool(raw.get("init"), "init", findings),
        privileged=read_bool(raw.get("privileged"), "privileged", findings),
        cap_add=strings("capAdd"),
        security_opt=strings("securityOpt"),
        raw=dict(raw),
    )


def _entries(value: Json, path: str, findings: Findings) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object", value)
        return {}
    if len(value) > MAX_ENTRIES:
        findings.problem(path, "too_large", f"{len(value)} entries, at most {MAX_ENTRIES}")
        return {}
    return value


def _read_list(value: Json, path: str, findings: Findings) -> tuple[Json, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        findings.wrong_type(path, f"an array of at most {MAX_ENTRIES} entries", value)
        return ()
    return tuple(value)


def _read_env(value: Json, findings: Findings) -> tuple[tuple[str, str], ...]:
    env: list[tuple[str, str]] = []
    for name, item in _entries(value, "containerEnv", findings).items():
        text = scalar_text(item)
        if text is None:
            findings.wrong_type(f"containerEnv.{name}", "a string", item)
        else:
            env.append((name, text))
    return tuple(env)


def _read_options(value: Json, findings: Findings) -> tuple[OptionDeclaration, ...]:
    found = [
        _read_option(name, item, f"options.{name}", findings)
        for name, item in _entries(value, "options", findings).items()
    ]
    return tuple(option for option in found if option is not None)


def _read_option(name: str, value: Json, path: str, findings: Findings) -> OptionDeclaration | None:
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object", value)
        return None
    default = value.get("default")
    if not isinstance(default, str | bool) and default is not None:
        text = scalar_text(default)
        if text is None:
            findings.wrong_type(f"{path}.default", "a string or a boolean", default)
        default = text
    enum = None
    if value.get("enum") is not None:
        enum = _read_texts(value["enum"], f"{path}.enum", findings)
    return OptionDeclaration(
        name=name,
        type="boolean" if value.get("type") == "boolean" else "string",
        default=default,
        enum=enum,
        proposals=_read_texts(value.get("proposals"), f"{path}.proposals", findings),
        description=scalar_text(value.get("description")) or "",
    )


def _read_texts(value: Json, path: str, findings: Findings) -> tuple[str, ...]:
    texts = [scalar_text(item) for item in _read_list(value, path, findings)]
    if None in texts:
        findings.problem(path, "wrong_type", "expected an array of strings")
    return tuple(text for text in texts if text is not None)
