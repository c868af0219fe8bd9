"""Everything an operator can set, read once into a frozen object (``settings.CREWSHIP``).

The README's table of settings lists these by their environment names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from crewship.devcontainer.policy import Policy
from crewship.domain.data_dir import writing_in
from crewship.domain.errors import SettingsError
from crewship.settings import env
from crewship.settings.env import Amount

_HIGH_WATER = Amount(percent=80)
_LOW_WATER = Amount(percent=60)
_SUBNETS = IPv4Network("10.213.0.0/16")


# The host's watcher makes it: a bridge on which builds of two tenants can't reach each other.
BUILD_NETWORK = "crewship-builds"


@dataclass(frozen=True, slots=True)
class Limits:
    starts_per_minute: int = 120  # per workspace; more is a 429
    running_per_workspace: int = 32  # more wait as pending
    crews_per_workspace: int = 20_000  # this and the next three: one more is a 400
    running_agents_per_workspace: int = 200  # those that are meant to run
    members_per_workspace: int = 500  # with open invitations
    tokens_per_user: int = 50  # those that are good now
    user_requests_per_minute: int = 600
    anonymous_requests_per_minute: int = 60
    streams_per_user: int = 20  # event streams that are open at once, in each web process
    step_timeout_s: int = 1800
    idle_timeout_s: int = 900  # a script that prints nothing
    job_timeout_s: int = 7200
    job_log_mb: int = 16  # a job's output that is kept: its first quarter and its end
    build_memory_mb: int | None = None  # None: 80 % of the host's; 0: no limit
    build_cpus: float = 0  # 0: all processors
    build_pids: int = 4096  # 0: no limit
    max_layer_bytes: int = 20_000_000_000  # what a step may add to the image; 0: no limit
    disk_floor_mb: int = 2000  # builds leave this (or 5 %, if less) of the engine's disk free


@dataclass(frozen=True, slots=True)
class GcOptions:
    autodelete: bool = False
    interval_s: int = 1800
    floor_s: int = 300  # no image younger than this is ever removed
    layer_keep_s: int = 7 * 86400  # how long a layer that no image stands on is kept
    # Of what we made: above the one, the least recently used go until it is down to the other.
    high_water: Amount = _HIGH_WATER
    low_water: Amount = _LOW_WATER


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Memory, processors and processes are what an agent gets, and the most a crew may give it."""

    memory_mb: int = 2048
    cpus: float = 2.0
    pids: int = 512
    grace_s: int = 10  # between asking an agent to end (SIGTERM) and killing it
    subnets: IPv4Network = _SUBNETS  # crews' networks are cut from it


@dataclass(frozen=True, slots=True)
class ProcessLogOptions:
    """The logs of the processes of ``crewship start``: web, workers, watcher, …"""

    file_mb: int = 10  # at which a file becomes <name>.1
    files: int = 5  # kept for each process, the one that is written included


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """How long rows are kept that only grow in number, in days."""

    log_days: int = 30  # a job's log, after its end
    log_jobs: int = 5  # of a crew: its newest keep their logs, however old
    audit_days: int = 400  # audit events, and jobs
    jobs: int = 50  # of a crew: its newest stay, however old
    ended_days: int = 30  # tokens and invitations, after they opened anything last


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    mirrors: dict[str, str] = field(default_factory=dict)
    layouts: dict[str, str] = field(default_factory=dict)
    plain_http: tuple[str, ...] = ()
    tokens: dict[str, str] = field(default_factory=dict, repr=False)  # host -> [user:]secret
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    data_dir: Path
    runtime_dir: Path  # sockets only; short, since a socket's path ends at 107 bytes
    redis_url: str
    redis_is_embedded: bool
    host_name: str  # this machine's name among the Docker hosts
    cache_scope: str  # "host" | "workspace"
    build_network: str
    engine_disk: str  # where the engine's data root is on this machine; "": found by itself
    mise_source: str  # "npm" | a path | a URL with #sha256=<hex>
    mise_env: dict[str, str]  # given to mise at install, e.g. MISE_NODE_MIRROR_URL
    policy: Policy
    limits: Limits
    gc: GcOptions
    agents: AgentOptions
    registry: RegistrySettings
    process_logs: ProcessLogOptions
    retention: RetentionOptions


def runtime_dir_for(data_dir: Path) -> Path:
    """A short directory of this user's for the sockets of one data directory."""
    name = f"crewship-{os.getuid()}-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]}"
    # Not XDG_RUNTIME_DIR: a service and a shell of one user would look in two places.
    return Path("/tmp") / name  # noqa: S108  # its owner is checked when it is made


def read_options(base_dir: Path) -> Options:
    """All settings, or SettingsError naming the variable that cannot be used."""
    data_dir = env.path("CREWSHIP_DATA_DIR", base_dir / "crewship-data")
    runtime_dir = runtime_dir_for(data_dir)
    redis_url = env.text("CREWSHIP_REDIS_URL")
    scope = env.text("CREWSHIP_CACHE_SCOPE", "host")
    if scope not in {"host", "workspace"}:
        raise SettingsError(f"CREWSHIP_CACHE_SCOPE is {scope!r}; use host or workspace")
    return Options(
        data_dir=data_dir,
        runtime_dir=runtime_dir,
        redis_url=redis_url or f"unix://{runtime_dir}/redis.sock?db=0",
        redis_is_embedded=not redis_url,
        host_name=env.text("CREWSHIP_HOST", "local"),
        cache_scope=scope,
        build_network=env.text("CREWSHIP_BUILD_NETWORK", BUILD_NETWORK),
        engine_disk=env.text("CREWSHIP_ENGINE_DISK"),
        mise_source=env.text("CREWSHIP_MISE_SOURCE", "npm"),
        mise_env=env.pairs("CREWSHIP_MISE_ENV"),
        policy=_read_policy(),
        limits=_read_limits(),
        gc=_read_gc(),
        agents=_read_agents(),
        registry=RegistrySettings(
            mirrors=env.pairs("CREWSHIP_REGISTRY_MIRRORS"),
            layouts=env.pairs("CREWSHIP_FEATURE_LAYOUTS"),
            plain_http=env.items("CREWSHIP_REGISTRY_PLAIN_HTTP"),
            tokens=env.pairs("CREWSHIP_REGISTRY_TOKENS"),
            ca_bundle=env.text("CREWSHIP_CA_BUNDLE"),
        ),
        process_logs=_read_process_logs(),
        retention=_read_retention(),
    )


def _read_policy() -> Policy:
    usual = Policy()
    return Policy(
        publishers=env.items("CREWSHIP_FEATURE_PUBLISHERS", usual.publishers),
        registries=env.items("CREWSHIP_IMAGE_REGISTRIES", usual.registries),
        default_image=env.text("CREWSHIP_DEFAULT_IMAGE", usual.default_image),
    )


def _read_limits() -> Limits:
    usual = Limits()
    pids = _limit("CREWSHIP_BUILD_PIDS", least=64)
    return Limits(
        starts_per_minute=env.integer("CREWSHIP_STARTS_PER_MINUTE", usual.starts_per_minute),
        running_per_workspace=env.integer(
            "CREWSHIP_RUNNING_PER_WORKSPACE", usual.running_per_workspace, least=1
        ),
        crews_per_workspace=env.integer(
            "CREWSHIP_CREWS_PER_WORKSPACE", usual.crews_per_workspace, least=1
        ),
        running_agents_per_workspace=env.integer(
            "CREWSHIP_RUNNING_AGENTS_PER_WORKSPACE", usual.running_agents_per_workspace, least=1
        ),
        members_per_workspace=env.integer(
            "CREWSHIP_MEMBERS_PER_WORKSPACE", usual.members_per_workspace, least=1
        ),
        tokens_per_user=env.integer("CREWSHIP_TOKENS_PER_USER", usual.tokens_per_user, least=1),
        user_requests_per_minute=env.integer(
            "CREWSHIP_USER_REQUESTS_PER_MINUTE", usual.user_requests_per_minute, least=1
        ),
        anonymous_requests_per_minute=env.integer(
            "CREWSHIP_ANONYMOUS_REQUESTS_PER_MINUTE", usual.anonymous_requests_per_minute, least=1
        ),
        streams_per_user=env.integer("CREWSHIP_STREAMS_PER_USER", usual.streams_per_user, least=1),
        step_timeout_s=env.integer("CREWSHIP_STEP_TIMEOUT", usual.step_timeout_s, least=1),
        idle_timeout_s=env.integer("CREWSHIP_IDLE_TIMEOUT", usual.idle_timeout_s, least=1),
        job_timeout_s=env.integer("CREWSHIP_JOB_TIMEOUT", usual.job_timeout_s, least=1),
        job_log_mb=env.integer("CREWSHIP_JOB_LOG_MB", usual.job_log_mb, least=1),
        build_memory_mb=_limit("CREWSHIP_BUILD_MEMORY_MB", least=16),
        build_cpus=env.number("CREWSHIP_BUILD_CPUS", usual.build_cpus),
        build_pids=usual.build_pids if pids is None else pids,
        max_layer_bytes=env.integer("CREWSHIP_MAX_LAYER_BYTES", usual.max_layer_bytes),
        disk_floor_mb=env.integer("CREWSHIP_DISK_FLOOR_MB", usual.disk_floor_mb),
    )


def _limit(name: str, least: int) -> int | None:
    """0 for no limit, else at least ``least``, below which nothing would run; None if not set."""
    if not env.text(name):
        return None
    return env.integer(name, 0, least=least if env.text(name).strip("0") else 0)


def _read_gc() -> GcOptions:
    usual = GcOptions()
    high = env.amount("CREWSHIP_CACHE_HIGH_WATER", usual.high_water)
    low = env.amount("CREWSHIP_CACHE_LOW_WATER", usual.low_water)
    same_kind = (high.percent is None) == (low.percent is None)
    if same_kind and (low.percent or low.size_bytes) > (high.percent or high.size_bytes):
        raise SettingsError("CREWSHIP_CACHE_LOW_WATER is above CREWSHIP_CACHE_HIGH_WATER")
    return GcOptions(
        autodelete=env.flag("CREWSHIP_CACHE_GC_AUTODELETE", usual.autodelete),
        interval_s=env.integer("CREWSHIP_CACHE_GC_INTERVAL", usual.interval_s, least=1),
        floor_s=env.integer("CREWSHIP_CACHE_GC_FLOOR", usual.floor_s),
        layer_keep_s=env.integer("CREWSHIP_LAYER_KEEP", usual.layer_keep_s),
        high_water=high,
        low_water=low,
    )


def _read_agents() -> AgentOptions:
    usual = AgentOptions()
    return AgentOptions(
        memory_mb=env.integer("CREWSHIP_AGENT_MEMORY_MB", usual.memory_mb, least=16),
        cpus=env.number("CREWSHIP_AGENT_CPUS", usual.cpus, least=0.05),
        pids=env.integer("CREWSHIP_AGENT_PIDS", usual.pids, least=16),
        grace_s=env.integer("CREWSHIP_AGENT_GRACE", usual.grace_s),
        subnets=env.subnet("CREWSHIP_AGENT_SUBNETS", str(usual.subnets)),
    )


def _read_process_logs() -> ProcessLogOptions:
    usual = ProcessLogOptions()
    return ProcessLogOptions(
        file_mb=env.integer("CREWSHIP_PROCESS_LOG_MB", usual.file_mb, least=1),
        files=env.integer("CREWSHIP_PROCESS_LOG_FILES", usual.files, least=1),
    )


def _read_retention() -> RetentionOptions:
    usual = RetentionOptions()
    return RetentionOptions(
        log_days=env.integer("CREWSHIP_LOG_KEEP_DAYS", usual.log_days, least=1),
        log_jobs=env.integer("CREWSHIP_LOG_KEEP_JOBS", usual.log_jobs, least=1),
        audit_days=env.integer("CREWSHIP_AUDIT_KEEP_DAYS", usual.audit_days, least=1),
        jobs=env.integer("CREWSHIP_KEEP_JOBS", usual.jobs, least=1),
        ended_days=env.integer("CREWSHIP_ENDED_KEEP_DAYS", usual.ended_days, least=1),
    )


def secret_key(data_dir: Path) -> str:
    """CREWSHIP_SECRET_KEY, else the key in the data directory, made (0600) when absent.

    Two processes that start at once agree: the file is made whole beside its place and linked,
    which fails for the second one, who then reads the first one's. Raises DataDirUnusable.
    """
    given = env.text("CREWSHIP_SECRET_KEY")
    if given:
        return given
    file = data_dir / "secret-key"
    with writing_in(data_dir):
        if not file.exists():
            _make_secret_key(file)
        return file.read_text().strip()


def _make_secret_key(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".secret-key.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
