"""Every error this product raises on purpose, as one tree. Imports nothing of ours.

The class says who can act, the ``code`` names the fact for programs, ``hint`` says what to do.
``crewship/web/problems.py`` maps classes to HTTP statuses; services never know about HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (or worth a warning) in a text that a person wrote.

    ``path`` is a JSON path such as ``features.ghcr.io/x/y:1.version``; ``line`` and ``column``
    count from 1 and are set where the text itself is broken.
    """

    path: str
    code: str
    message: str
    line: int | None = None
    column: int | None = None

    def as_dict(self) -> dict[str, Any]:  # Any: JSON
        out: dict[str, Any] = {"path": self.path, "code": self.code, "message": self.message}
        if self.line is not None:
            out["line"] = self.line
            out["column"] = self.column
        return out

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}" if self.line else self.path
        return f"{where}: {self.message}" if where else self.message


class CrewshipError(Exception):
    """Base of the tree. ``str(error)`` is shown to users: no secret, no stack, no host path."""

    code: ClassVar[str] = "internal"
    hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        extra: Mapping[str, Any] | None = None,  # Any: JSON, becomes extension members
    ) -> None:
        super().__init__(message)
        self.message = message
        self._code = code
        self._hint = hint
        self.extra: Mapping[str, Any] = extra or {}

    @property
    def error_code(self) -> str:
        return self._code or type(self).code

    @property
    def error_hint(self) -> str:
        return type(self).hint if self._hint is None else self._hint


class ConfigError(CrewshipError):
    """The crew's owner can fix it: a 400 at the API, a failed job in a worker, shown in full."""

    code = "config_invalid"


class ConfigInvalid(ConfigError):
    """A config text breaks rules; all of them are in ``problems``, in the order of the text."""

    code = "config_invalid"
    hint = "Correct the listed places and save again."

    def __init__(self, problems: Sequence[Problem], message: str | None = None) -> None:
        self.problems = tuple(problems)
        text = message or "; ".join(str(problem) for problem in self.problems[:3])
        if not message and len(self.problems) > 3:
            text += f" (and {len(self.problems) - 3} more)"
        super().__init__(text, extra={"errors": [p.as_dict() for p in self.problems]})


class NotFound(CrewshipError):
    code = "not_found"


class Gone(CrewshipError):
    """It was there, and was removed because of its age."""

    code = "gone"


class Forbidden(CrewshipError):
    code = "forbidden"
    hint = "Ask somebody whose role allows it, or use a token with a stronger role."


class Conflict(CrewshipError):
    """The world is not as the caller thinks: a job is active, an image is in use."""

    code = "conflict"


class CapacityExceeded(CrewshipError):
    """Wait ``retry_after_s`` seconds (rounded up, at least 1) and ask again."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(message, code=code, hint=f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class Unavailable(CrewshipError):
    """Something we depend on is not there now; the operator or time can mend it."""

    code = "unavailable"


class EngineError(CrewshipError):
    """The container engine refused or failed. ``retryable`` says whether trying again may help."""

    code = "engine_error"
    retryable: ClassVar[bool] = False


class EngineUnreachable(EngineError):
    code = "engine_unreachable"
    hint = "Start the Docker engine (`make setup` installs one) or set DOCKER_HOST."
    retryable = True


class ImageNotFound(ConfigError):
    code = "image_not_found"
    hint = "Check the image's name and tag, and that the registry lets this host read it."


class ImageInUse(Conflict):
    code = "image_in_use"
    hint = "Remove the containers that use the image first."


class RegistryError(CrewshipError):
    """A registry answered something we cannot build on."""

    code = "registry_error"
    retryable: ClassVar[bool] = False


class RegistryUnreachable(RegistryError):
    code = "registry_unreachable"
    hint = "Check the host's name, network and proxy, or configure a mirror."
    retryable = True


class RegistryAuth(RegistryError):
    code = "registry_auth"
    hint = "Log in to the registry on the provisioning host (docker login)."


class RegistryRateLimited(RegistryError):
    code = "registry_rate_limited"
    hint = "Wait, log in to the registry, or configure a mirror."
    retryable = True


class FeatureNotFound(ConfigError):
    code = "feature_not_found"
    hint = "Check the feature's name and version in the publisher's catalog."


class DigestMismatch(RegistryError):
    code = "digest_mismatch"
    hint = "What arrived is not what was asked for; nothing of it was used."


class ArchiveUnsafe(RegistryError):
    code = "archive_unsafe"
    hint = "The feature's archive was refused; tell its publisher."


class BuildStepFailed(ConfigError):
    """A script in the build ended with a non-zero exit code; the message has its last lines."""

    code = "build_step_failed"


class BuildTimeout(ConfigError):
    code = "build_timeout"
    hint = "Make the step finish by itself and without questions, or raise the limit."


class BuildCancelled(CrewshipError):
    """The job was taken from its worker (cancelled, fenced off, or stopping); not a failure."""

    code = "cancelled"


class RegistryNotFound(RegistryError):
    """A registry has no such repository, tag or blob; features turn it into FeatureNotFound."""

    code = "registry_not_found"
    hint = "Check the name and version."


class MiseUnavailable(Unavailable):
    code = "mise_unavailable"
    hint = "Let this host reach the npm registry, or set the mise source to a path or URL#sha256=."


class InvalidFeatureRef(ConfigError):
    code = "invalid_ref"
    hint = (
        "Write registry/namespace/id, then :tag or @sha256:digest, such as ghcr.io/o/features/x:1."
    )


class InvalidImageRef(ConfigError):
    code = "image_invalid"
    hint = "Write an image as docker does, such as debian:bookworm-slim or ghcr.io/o/image:1."


class PublisherNotAllowed(ConfigError):
    code = "publisher_not_allowed"
    hint = "Use a feature of an allowed publisher, or ask the operator to allow this one."


class FeatureInvalid(ConfigError):
    """A published devcontainer-feature.json has a shape that cannot be used."""

    code = "feature_invalid"
    hint = "Use another version of the feature, or tell its publisher."


class FeatureCycle(ConfigError):
    code = "cycle"
    hint = "Remove one of the named features; their dependsOn and installsAfter form a circle."


class TooManyFeatures(ConfigError):
    code = "too_many_features"
    hint = "Remove features, or use a base image that has their tools already."


class TooManyLayers(ConfigError):
    code = "too_many_layers"
    hint = "Remove features, or start from a base image with fewer layers."


class ShellMissing(ConfigError):
    """The image has no /bin/sh, so no build step can run in it."""

    code = "shell_missing"
    hint = "Choose a base image with /bin/sh; images without a shell cannot be provisioned."


class ContainerGone(EngineError):
    """A container we worked in was stopped or removed by somebody else."""

    code = "container_gone"
    hint = "Try again; if it happens again, look for what removes containers on the host."
    retryable = True


class DiskFull(EngineError):
    code = "disk_full"
    hint = "Free space on the Docker host: delete cached images or other containers' data."


class EnvTooLarge(ConfigError):
    code = "env_too_large"
    hint = "Shorten the values in containerEnv, or leave out the feature that sets long ones."


class StartFailed(Unavailable):
    """A process of ``crewship start`` did not get going; the message has its last lines."""

    code = "start_failed"
    hint = "The whole output is in the data directory's logs folder."


class DataDirUnusable(Unavailable):
    """The data directory, or a file that must be made there, can't be written."""

    code = "data_dir_unusable"
    hint = "Make it writable for this user, or choose another --data-dir."


class DataDiskFull(DataDirUnusable):
    """The data directory's disk has no room for a start."""

    code = "data_disk_full"
    hint = "Free space there, then start again; nothing that was stored is lost."


class DataDirInUse(Conflict):
    code = "data_dir_in_use"
    hint = "Stop the other `crewship start`, or choose another --data-dir."


class RedisUnavailable(Unavailable):
    code = "redis_unavailable"
    hint = "Set CREWSHIP_REDIS_URL to a Redis or Valkey server, or install redis-server."


class SettingsError(CrewshipError):
    """An environment variable has a value that cannot be used; the message names it."""

    code = "setting_invalid"
    hint = "Correct or unset the variable; the README's table of settings says what it takes."


class LockMismatch(ConfigError):
    """A lock given with the config names content that the registry does not have."""

    code = "lock_mismatch"
    hint = "Take the feature out of the lock, or export a new one from a crew that builds."
