"""The features a config asks for, and the order it prefers."""

from __future__ import annotations

from collections.abc import Mapping

from crewship.devcontainer.environment import substitute_local
from crewship.devcontainer.findings import Findings, type_name
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.runtime_settings import read_strings
from crewship.devcontainer.types import FeatureRef, FeatureRequest, Json
from crewship.domain.errors import InvalidFeatureRef


def read_features(
    value: Json, path: str, policy: Policy, findings: Findings
) -> tuple[FeatureRequest, ...]:
    """The requests, in the order of the text.

    Problems: ``wrong_type``, ``too_many_features``, ``invalid_ref``, ``publisher_not_allowed``,
    ``option_invalid`` (what can be told without the feature's metadata).
    """
    if value is None:
        return ()
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object of feature references", value)
        return ()
    if len(value) > policy.max_features:
        findings.problem(
            path, "too_many_features", f"{len(value)} features, at most {policy.max_features}"
        )
    requests: list[FeatureRequest] = []
    for written, options in value.items():
        at = f"{path}.{written}"
        request = read_request(written, options, at, findings)
        if request is None:
            continue
        if not policy.allows_publisher(request.ref):
            message = f"{request.ref.resource} is not of an allowed publisher"
            findings.problem(at, "publisher_not_allowed", message)
        requests.append(request)
    return tuple(requests)


def read_request(
    written: str, options: Json, path: str, findings: Findings
) -> FeatureRequest | None:
    """One entry of ``features`` or ``dependsOn``, or None after a problem. Asks no policy."""
    ref = _read_ref(written, path, findings)
    values = _read_options(options, path, findings)
    return None if ref is None else FeatureRequest(ref, values, written, options)


def read_override(value: Json, path: str, findings: Findings) -> tuple[str, ...]:
    """The resources of ``overrideFeatureInstallOrder``; versions in it say nothing."""
    refs = [
        _read_ref(written, f"{path}[{index}]", findings)
        for index, written in enumerate(read_strings(value, path, findings))
    ]
    return tuple(ref.resource for ref in refs if ref is not None)


def _read_ref(written: str, path: str, findings: Findings) -> FeatureRef | None:
    try:
        return parse_feature_ref(written)
    except InvalidFeatureRef as error:
        findings.problem(path, error.error_code, error.message)
        return None


def _read_options(value: Json, path: str, findings: Findings) -> Mapping[str, Json]:
    """A string is ``{"version": …}``, true is no options, an object itself; the rest is refused."""
    if value is True:
        return {}
    if isinstance(value, str):
        value = {"version": value}
    if not isinstance(value, dict):
        findings.problem(
            path,
            "option_invalid",
            f"expected an object, a string or true, found {type_name(value)}",
        )
        return {}
    options: dict[str, Json] = {}
    for name, option in value.items():
        if isinstance(option, str):
            option = substitute_local(option, f"{path}.{name}", findings)
        elif not isinstance(option, bool | int | float):
            findings.problem(
                f"{path}.{name}",
                "option_invalid",
                f"expected a string or a boolean, found {type_name(option)}",
            )
            continue
        options[name] = option
    return options
