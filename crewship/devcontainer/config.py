"""A crew's texts become one ``CrewSpec``, or all the reasons why they can't."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from crewship.devcontainer import jsonc
from crewship.devcontainer.environment import read_env, substitute_local
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.hooks import read_hook
from crewship.devcontainer.lock import LOCK, read_lock
from crewship.devcontainer.mise import read_mise, read_mise_text
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.refs import parse_image_ref
from crewship.devcontainer.requests import read_features, read_override
from crewship.devcontainer.runtime_settings import (
    read_bool,
    read_cap_add,
    read_mounts,
    read_privileged,
    read_security_opt,
    read_user,
)
from crewship.devcontainer.types import (
    BAKED_HOOKS,
    CrewSpec,
    FeatureRequest,
    Hook,
    HookName,
    ImageRef,
    Json,
    LockedFeature,
    MiseSpec,
    RuntimeSettings,
)
from crewship.domain.errors import ConfigInvalid, InvalidImageRef

MAX_TEXT_BYTES: Final = 100 * 1024
ROOT: Final = "devcontainer_config"  # the path of problems with the text as a whole


def default_devcontainer_text(runtime_image: str | None, policy: Policy) -> str:
    """The devcontainer config of a crew that has only a runtime image or a mise config."""
    return json.dumps({"image": runtime_image or policy.default_image}, ensure_ascii=False)


def read_crew(
    devcontainer_text: str | None,
    mise_text: str | None,
    runtime_image: str | None,
    policy: Policy,
    lock_text: str | None = None,
) -> CrewSpec:
    """Everything the texts say, normalised, with the warnings about it. ``lock_text`` is a
    devcontainer-lock.json that the features must resolve by.

    None means that the crew has no such text; the empty text is an error. Without a devcontainer
    text the crew starts from ``runtime_image`` or the policy's default. Raises ConfigInvalid with
    every problem in the order of the text; nothing at all is the problem ``config_missing``.
    """
    findings = Findings()
    if devcontainer_text is None and mise_text is None and not runtime_image:
        findings.problem(ROOT, "config_missing", "the crew has no devcontainer config")
        findings.raise_problems()
    draft = _Draft(policy, findings)
    if runtime_image:
        draft.runtime_image = _read_image(runtime_image, "runtime_image", draft)
    if devcontainer_text is not None:
        for key, value in _load(devcontainer_text, ROOT, findings).items():
            draft.read(key, value)
    if mise_text is not None:
        if draft.has_mise:
            findings.problem("mise", "mise_twice", "set mise here or in mise_config, not in both")
        draft.mise = read_mise_text(mise_text, findings)
    if lock_text is not None:
        draft.lock = read_lock(_load(lock_text, LOCK, findings), draft.features, findings)
    findings.raise_problems()
    return draft.spec()


def _load(text: str, path: str, findings: Findings) -> dict[str, Json]:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        findings.problem(path, "too_large", f"{size} bytes, at most {MAX_TEXT_BYTES}")
        return {}
    try:
        value = jsonc.parse(text)
    except ConfigInvalid as error:
        findings.problems += [replace(p, path=_below(path, p.path)) for p in error.problems]
        return {}
    if not isinstance(value, dict):
        findings.wrong_type(path, "an object", value)
        return {}
    return value


def _below(root: str, path: str) -> str:
    """Paths within the devcontainer config stand for themselves, those of other texts do not."""
    if not path:
        return root
    return path if root == ROOT else f"{root}.{path}"


def _read_image(value: Json, path: str, draft: _Draft) -> ImageRef | None:
    if not isinstance(value, str):
        draft.findings.wrong_type(path, "a string", value)
        return None
    try:
        ref = parse_image_ref(substitute_local(value, path, draft.findings))
    except InvalidImageRef as error:
        draft.findings.problem(path, error.error_code, error.message)
        return None
    if not draft.policy.allows_image(ref):
        draft.findings.problem(
            path, "image_not_allowed", f"{shorten(value)!r} is not of an allowed registry"
        )
    return ref


@dataclass(slots=True)
class _Draft:
    """A spec under way; one method a key, so that problems come in the order of the text."""

    policy: Policy
    findings: Findings
    runtime_image: ImageRef | None = None
    image: ImageRef | None = None
    features: tuple[FeatureRequest, ...] = ()
    override_order: tuple[str, ...] = ()
    hooks: dict[HookName, Hook | None] = field(default_factory=dict)
    container_env: tuple[tuple[str, str], ...] = ()
    mise: MiseSpec = field(default_factory=MiseSpec)
    has_mise: bool = False
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    lock: tuple[LockedFeature, ...] = ()

    def read(self, key: str, value: Json) -> None:
        """Takes one top-level key in; null counts as absent."""
        if key in _REFUSED:
            self.findings.problem(
                key, "build_refused", f"{key} is not possible: a crew starts from an image"
            )
        elif key in _IGNORED:
            return
        elif key in _READERS:
            if value is not None:
                _READERS[key](self, value, key)
        else:
            self.findings.warn(shorten(key), "key_ignored", f"{shorten(key)} has no effect here")

    def read_image(self, value: Json, path: str) -> None:
        self.image = _read_image(value, path, self)

    def read_features(self, value: Json, path: str) -> None:
        self.features = read_features(value, path, self.policy, self.findings)

    def read_override(self, value: Json, path: str) -> None:
        self.override_order = read_override(value, path, self.findings)

    def read_hook(self, value: Json, path: str) -> None:
        name = HookName(path)
        self.hooks[name] = read_hook(name, value, path, self.findings)

    def read_container_env(self, value: Json, path: str) -> None:
        self.container_env = read_env(value, path, self.findings)

    def read_remote_env(self, value: Json, path: str) -> None:
        if isinstance(value, dict):  # null unsets a variable in the spec; here it has no effect
            value = {name: text for name, text in value.items() if text is not None}
        self.runtime = replace(self.runtime, remote_env=read_env(value, path, self.findings))

    def read_mounts(self, value: Json, path: str) -> None:
        self.runtime = replace(self.runtime, mounts=read_mounts(value, path, self.findings))

    def read_init(self, value: Json, path: str) -> None:
        self.runtime = replace(self.runtime, init=read_bool(value, path, self.findings))

    def read_cap_add(self, value: Json, path: str) -> None:
        added = read_cap_add(value, path, self.policy, self.findings)
        self.runtime = replace(self.runtime, cap_add=added)

    def read_privileged(self, value: Json, path: str) -> None:
        read_privileged(value, path, self.findings)

    def read_security_opt(self, value: Json, path: str) -> None:
        read_security_opt(value, path, self.findings)

    def read_user(self, value: Json, path: str) -> None:
        read_user(value, path, self.findings)

    def read_mise(self, value: Json, path: str) -> None:
        self.has_mise = True
        self.mise = read_mise(value, path, self.findings)

    def read_name(self, value: Json, path: str) -> None:
        if not isinstance(value, str):
            self.findings.wrong_type(path, "a string", value)

    def spec(self) -> CrewSpec:
        baked = tuple(hook for name in BAKED_HOOKS if (hook := self.hooks.get(name)) is not None)
        return CrewSpec(
            base=self.runtime_image or self.image or parse_image_ref(self.policy.default_image),
            features=self.features,
            override_order=self.override_order,
            hooks=baked,
            container_env=self.container_env,
            mise=self.mise,
            runtime=replace(self.runtime, post_start=self.hooks.get(HookName.POST_START)),
            lock=self.lock,
            warnings=tuple(self.findings.warnings),
        )


_REFUSED: Final = frozenset({"build", "dockerFile", "dockerComposeFile"})
_IGNORED: Final = frozenset({"customizations"})  # editors' own; known, and without effect here
_READERS: Final[dict[str, Callable[[_Draft, Json, str], None]]] = {
    "image": _Draft.read_image,
    "features": _Draft.read_features,
    "overrideFeatureInstallOrder": _Draft.read_override,
    **{name.value: _Draft.read_hook for name in HookName},
    "containerEnv": _Draft.read_container_env,
    "remoteEnv": _Draft.read_remote_env,
    "remoteUser": _Draft.read_user,
    "containerUser": _Draft.read_user,
    "mounts": _Draft.read_mounts,
    "init": _Draft.read_init,
    "privileged": _Draft.read_privileged,
    "capAdd": _Draft.read_cap_add,
    "securityOpt": _Draft.read_security_opt,
    "mise": _Draft.read_mise,
    "name": _Draft.read_name,
}
