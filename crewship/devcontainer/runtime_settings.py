"""What a config says about the running container: mounts, privileges, users.

The readers of single keys serve the config (an error each) and features' metadata (the same is
dropped there, see ``requirements.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from crewship.devcontainer.environment import substitute_local
from crewship.devcontainer.findings import Findings, shorten
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.types import Json

AGENT_USERS: Final = frozenset({"", "agent", "1001"})

# devcontainerId may be part of a volume's name; it is filled in when an agent starts.
_VOLUME = re.compile(
    r"(?:[A-Za-z0-9]|\$\{devcontainerId\})(?:[A-Za-z0-9_.-]|\$\{devcontainerId\})*"
)
_MOUNT_KEYS: Final = {
    "source": "source", "src": "source",
    "target": "target", "dst": "target", "destination": "target",
    "type": "type",
}  # fmt: skip
_SOCKET: Final = "docker.sock"


def read_mounts(value: Json, path: str, findings: Findings) -> tuple[Mapping[str, str], ...]:
    """The named volumes of a ``mounts`` array.

    Problems: ``wrong_type``, ``mount_invalid``, ``host_mount_refused``,
    ``docker_socket_refused``.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        findings.wrong_type(path, "an array", value)
        return ()
    mounts: dict[str, Mapping[str, str]] = {}
    for index, item in enumerate(value):
        mount = read_mount(item, f"{path}[{index}]", findings)
        if mount is not None and mount["target"] in mounts:
            findings.problem(f"{path}[{index}]", "mount_invalid", "the target is used twice")
        elif mount is not None:
            mounts[mount["target"]] = mount
    return tuple(mounts.values())


def read_mount(value: Json, path: str, findings: Findings) -> Mapping[str, str] | None:
    """``{"source", "target", "type": "volume"}``, or None after a problem."""
    fields = _mount_fields(value, path, findings)
    if fields is None:
        return None
    source, target = fields.get("source", ""), fields.get("target", "")
    kind = fields.get("type", "volume")
    on_host = source.startswith(("/", ".", "~", "$")) and not _VOLUME.match(source)
    if _SOCKET in source or _SOCKET in target:
        code, message = "docker_socket_refused", "the Docker socket is never mounted"
    elif kind == "bind" or on_host:
        code, message = "host_mount_refused", "folders of the host are never mounted"
    elif kind != "volume":
        code, message = "mount_invalid", f"type {shorten(kind)!r}; only volume is possible"
    elif not _VOLUME.fullmatch(source):
        code, message = "mount_invalid", "source must be the name of a volume"
    elif not target.startswith("/") or ".." in target.split("/") or not target.strip("/"):
        code, message = "mount_invalid", "target must be an absolute path below /"
    else:
        return {"source": source, "target": target, "type": "volume"}
    findings.problem(path, code, message)
    return None


def _mount_fields(value: Json, path: str, findings: Findings) -> dict[str, str] | None:
    pairs: list[tuple[str, Json]]
    if isinstance(value, str):
        pairs = [(name.strip(), text) for name, _, text in
                 (part.partition("=") for part in value.split(",")) if name.strip()]  # fmt: skip
    elif isinstance(value, dict):
        pairs = list(value.items())
    else:
        findings.wrong_type(path, "a string or an object", value)
        return None
    fields: dict[str, str] = {}
    for name, text in pairs:
        known = _MOUNT_KEYS.get(name)
        if known is None:
            # A volume's driver options can name a folder of the host: no way around the refusal.
            if name.startswith("volume") or name.startswith("bind"):
                findings.problem(path, "mount_invalid", f"{shorten(name)} is not possible")
                return None
            findings.warn(path, "key_ignored", f"{shorten(name)} has no effect")
        elif isinstance(text, str):
            fields[known] = substitute_local(text.strip(), path, findings)
        elif text is not None:
            findings.wrong_type(f"{path}.{name}", "a string", text)
            return None
    return fields


def read_cap_add(value: Json, path: str, policy: Policy, findings: Findings) -> tuple[str, ...]:
    """The capabilities, without ``CAP_`` and in upper case. Problem: ``cap_add_refused``."""
    allowed: list[str] = []
    for index, name in enumerate(read_strings(value, path, findings)):
        capability = name.upper().removeprefix("CAP_")
        if capability not in policy.cap_add_allowed:
            findings.problem(
                f"{path}[{index}]", "cap_add_refused", f"{shorten(name)} is not allowed"
            )
        elif capability not in allowed:
            allowed.append(capability)
    return tuple(allowed)


def read_privileged(value: Json, path: str, findings: Findings) -> None:
    """Problem ``privileged_refused`` for true."""
    if read_bool(value, path, findings):
        findings.problem(path, "privileged_refused", "no crew runs privileged")


def read_security_opt(value: Json, path: str, findings: Findings) -> None:
    """Problem ``security_opt_refused`` for anything but an empty array."""
    if read_strings(value, path, findings):
        findings.problem(path, "security_opt_refused", "security options cannot be changed")


def read_user(value: Json, path: str, findings: Findings) -> None:
    """Warning ``user_ignored`` for any user but the agent's."""
    if value is None:
        return
    if not isinstance(value, str):
        findings.wrong_type(path, "a string", value)
    elif value not in AGENT_USERS:
        findings.warn(
            path, "user_ignored", f"{shorten(value)} is ignored: all runs as agent (uid 1001)"
        )


def read_bool(value: Json, path: str, findings: Findings) -> bool:
    if value is not None and not isinstance(value, bool):
        findings.wrong_type(path, "true or false", value)
    return value is True


def read_strings(value: Json, path: str, findings: Findings) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        findings.wrong_type(path, "an array of strings", value)
        return ()
    for index, item in enumerate(value):
        if not isinstance(item, str):
            findings.wrong_type(f"{path}[{index}]", "a string", item)
    return tuple(item for item in value if isinstance(item, str))
