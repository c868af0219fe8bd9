"""What a base image can carry, asked in one container before anything is installed on it.

The answer is remembered with the layer that has the agent user: both depend on the base image
alone, so a base that was built on before costs nothing here.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from crewship.devcontainer.plan import user_layer_key
from crewship.devcontainer.types import BaseFacts, PlannedFeature
from crewship.domain.errors import BuildStepFailed, ConfigError, ContainerGone, ShellMissing
from crewship.engine.base import ImageInfo
from crewship.registry.archive import INSTALL_NAME
from crewship.registry.mise import MiseBinary
from provisioning.pipeline.context import (
    AGENT_HOME,
    AGENT_UID,
    AGENT_USER,
    BaseProbe,
    Context,
    Tools,
)
from provisioning.pipeline.diagnose import diagnose
from provisioning.pipeline.host_room import begun_again
from provisioning.pipeline.scratch import Scratch, scratch_container

PROBE_SCRIPT = Path(__file__).with_name("probe.sh").read_text()
# What a build writes; a VOLUME of the base at or above one of them would lose it at commit.
WRITTEN = (
    *("/etc/profile.d", "/opt/mise", "/usr/bin", "/usr/lib", "/usr/local/bin", "/usr/local/lib"),
    *("/usr/share", "/var/lib/apt", "/var/lib/dpkg"),
)
MOST_VALUES = 20  # of one fact
LONGEST_VALUE = 1024  # characters
_GLIBC_LOADER = re.compile(rb"/ld-linux[-a-z0-9_]*\.so\.\d")
_USUAL_BASH = frozenset({"/bin/bash", "/usr/bin/bash"})


class BaseVolume(ConfigError):
    code = "base_volume"
    hint = "Choose a base image that declares no VOLUME there."


class UserConflict(ConfigError):
    code = "user_conflict"
    hint = "Choose a base image in which neither the name agent nor the uid 1001 is taken."


class ArchMismatch(ConfigError):
    code = "arch_mismatch"
    hint = "Choose an image for the host's platform."


class BaseUnusable(ConfigError):
    code = "base_unusable"
    hint = "Choose a base image with /bin/sh and the usual small programs (sleep, mkdir, chown)."


class LibcUnsupported(ConfigError):
    code = "libc_unsupported"
    hint = (
        "Choose a base image with glibc (such as debian:bookworm-slim), or install the tools with "
        "features that support musl."
    )


class WindowsLineEnds(ConfigError):
    """A script ends its lines as Windows does (CR LF), which no shell takes."""

    code = "windows_line_ends"
    hint = "Save the script with LF alone; of a feature use another version, or tell its publisher."


class InterpreterMissing(ConfigError):
    code = "shell_missing"
    hint = "Choose a base image that has it, or put a feature that installs it in front."


def same_platform(one: str, other: str) -> bool:
    """Equal but for the variant: linux/arm64/v8 is linux/arm64."""
    return one.split("/")[:2] == other.split("/")[:2]


def check_config(image: ImageInfo, context: Context, tools: Tools) -> None:
    """What the image's config alone says. Raises ArchMismatch, BaseVolume."""
    if not same_platform(image.platform, context.platform):
        raise ArchMismatch(
            f"The image {context.request.spec.base} is for {image.platform}, "
            f"this host runs {context.platform}."
        )
    _check_volumes(image, (*WRITTEN, AGENT_HOME))
    for path in image.config.volumes:
        tools.emit.system(f"Warning: {path} is a VOLUME of the base; a build can't write there.")


def probe_base(image: ImageInfo, context: Context, tools: Tools) -> BaseProbe:
    """What the image has; it can carry the agent user and build steps.

    Raises ShellMissing, ArchMismatch, BaseUnusable, UserConflict, BaseVolume.
    """
    probe = _remembered(image, context, tools) or begun_again(
        context, tools, "looking into the base", lambda: _ask(image, context, tools)
    )
    if probe.missing:
        raise BaseUnusable(
            f"The base image {context.request.spec.base} has no {', '.join(probe.missing)}."
        )
    if probe.agent_uid not in ("", AGENT_UID):
        raise UserConflict(
            f"The base image's user {AGENT_USER} has the uid {probe.agent_uid}, not {AGENT_UID}."
        )
    others = [name for name in probe.uid_owners if name != AGENT_USER]
    if others:
        raise UserConflict(
            f"The uid {AGENT_UID} belongs to the user {', '.join(others)} in the base image."
        )
    if probe.agent_home:
        _check_volumes(image, (probe.agent_home,))
    return probe


def check_features(probe: BaseProbe, features: Sequence[PlannedFeature], tools: Tools) -> None:
    """The first feature can start on the base; a later one may get what it needs from those
    before it, see ``check_interpreter``. Raises InterpreterMissing."""
    if not features:
        return
    if not probe.package_manager:
        tools.emit.system(
            "Warning: the base image has no package manager that is known here; features that "
            "install packages will fail."
        )
    if not probe.bash and (program := _bash_of(tools, features[0])):
        raise _interpreter_missing(features[0], program)


def check_mise(probe: BaseProbe, mise: MiseBinary, context: Context) -> None:
    """The mise binary can start on the base. Raises LibcUnsupported."""
    with mise.path.open("rb") as file:
        loader = _GLIBC_LOADER.search(file.read(4096))  # an ELF's head names its loader
    if loader and probe.libc != "glibc":
        raise LibcUnsupported(
            f"mise needs glibc, which the base image {context.request.spec.base} does not have"
            f"{f' (it has {probe.libc})' if probe.libc else ''}."
        )


def check_interpreter(scratch: Scratch, feature: PlannedFeature, probe: BaseProbe) -> None:
    """The container has the bash that the feature's install.sh asks for; looked for only on a base
    that lacks it. Raises InterpreterMissing, WindowsLineEnds."""
    program = _bash_of(scratch.tools, feature)
    if probe.bash in _USUAL_BASH or not program:
        return
    try:
        scratch.capture("Looking for bash", ["/bin/sh", "-c", 'command -v "$1"', "sh", program])
    except BuildStepFailed as err:
        raise _interpreter_missing(feature, program) from err


def _check_volumes(image: ImageInfo, written: Sequence[str]) -> None:
    lost = [path for path in image.config.volumes if _covers(path, written)]
    if lost:
        raise BaseVolume(
            f"The base image declares a VOLUME at {', '.join(lost)}: "
            "what a build writes there would be lost."
        )


def _covers(volume: str, paths: Sequence[str]) -> bool:
    root = volume.rstrip("/") + "/"
    return any(f"{path.rstrip('/')}/".startswith(root) for path in paths)


def _remembered(image: ImageInfo, context: Context, tools: Tools) -> BaseProbe | None:
    base = BaseFacts(image.image_id, image.platform, image.layer_count)
    key = user_layer_key(base, context.request.scope_key)
    for record in tools.ledger.find_layers(key) if key else ():
        facts: Mapping[str, Any] = record.facts.get("probe") or {}  # Any: JSON
        if set(facts) == {field.name for field in fields(BaseProbe)}:
            lists = {"uid_owners": tuple(facts["uid_owners"]), "missing": tuple(facts["missing"])}
            return BaseProbe(**{**facts, **lists})
    return None


def probe_facts(probe: BaseProbe) -> Mapping[str, Any]:  # Any: JSON
    """For the facts of the layer with the agent user, where ``probe_base`` looks for it."""
    return asdict(probe)


def _ask(image: ImageInfo, context: Context, tools: Tools) -> BaseProbe:
    base = context.request.spec.base
    tools.emit.message("looking into the base image")
    try:
        with scratch_container(context, tools, image.image_id, "probe") as scratch:
            try:
                said = scratch.capture(
                    "Looking into the base image", ["/bin/sh", "-c", PROBE_SCRIPT]
                )
            except ContainerGone as err:
                said = tools.engine.container_output(scratch.name)
                if not said.strip():
                    raise  # somebody removed it
                raise _unusable(str(base), said, context) from err
            except BuildStepFailed as err:
                raise _unusable(str(base), err.message, context) from err
    except ShellMissing as err:
        raise ShellMissing(f"The base image {base} has no /bin/sh.") from err
    return _parse(said)


def _unusable(base: str, said: str, context: Context) -> ConfigError:
    found = diagnose(1, said)
    if found and found.code == ArchMismatch.code:
        return ArchMismatch(
            f"The programs in the image {base} are not built for {context.platform}: "
            f"{said.strip()[-300:]}"
        )
    return BaseUnusable(f"The base image {base} can't run build steps: {said.strip()[-300:]}")


def _parse(said: str) -> BaseProbe:
    facts: dict[str, list[str]] = {}
    for line in said.splitlines():
        key, _, value = line.partition("=")
        values = facts.setdefault(key, [])
        if len(values) < MOST_VALUES:  # a hostile image may say anything: it is kept in our records
            values.append(value[:LONGEST_VALUE])

    def first(key: str) -> str:
        return facts.get(key, [""])[0]

    agent_uid, _, agent_home = first("agent").partition(":")
    return BaseProbe(
        bash=first("bash"),
        package_manager=first("package_manager"),
        libc=first("libc"),
        agent_uid=agent_uid,
        agent_home=agent_home,
        uid_owners=tuple(facts.get("owner", ())),
        missing=tuple(facts.get("missing", ())),
    )


def _first_line(tools: Tools, feature: PlannedFeature) -> str:
    """Of the feature's install.sh. Raises WindowsLineEnds: shells only say "not found" to it."""
    with tarfile.open(fileobj=io.BytesIO(tools.archive_tar(feature.resolved))) as tar:
        file = tar.extractfile(INSTALL_NAME)
        line = file.readline(256).decode(errors="replace") if file else ""
    if line.startswith("#!") and line.endswith("\r\n"):
        raise WindowsLineEnds(
            f"The install.sh of {feature.request.written_ref} has Windows line ends: no program is "
            f"called {line.removeprefix('#!').split()[-1]}\\r."
        )
    return line


def _bash_of(tools: Tools, feature: PlannedFeature) -> str:
    """What the first line of the feature's install.sh asks for: "/bin/bash", "bash" where it goes
    by /usr/bin/env, "" where it wants something else. Raises WindowsLineEnds."""
    line = _first_line(tools, feature)
    words = line.removeprefix("#!").split() if line.startswith("#!") else []
    if words and words[0].endswith("/bash"):
        return words[0]
    return "bash" if "bash" in words[1:] else ""


def _interpreter_missing(feature: PlannedFeature, program: str) -> InterpreterMissing:
    return InterpreterMissing(
        f"Feature {feature.request.written_ref} needs {program}, which the image does not have."
    )
