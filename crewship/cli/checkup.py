"""What ``crewship doctor`` looks at, on the server's machine. It changes nothing.

A check returns findings and raises nothing that it can foresee. Those that ask others over the
network run side by side, each with a short time-out.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import stat
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import redis

from crewship.cli.account import read_account
from crewship.cli.checkup_installation import host_name, installation
from crewship.cli.finding import Finding
from crewship.cli.marks import BROKEN, OK, WARNING
from crewship.cli.terminal import size
from crewship.domain.durations import duration
from crewship.domain.errors import ConfigError, EngineError, MiseUnavailable, RegistryError
from crewship.engine.base import EngineInfo
from crewship.engine.disk import engine_disk
from crewship.registry.deadline import Deadline, within
from crewship.registry.mise import NPM_PINS, MiseSource
from crewship.registry.npmrc import npm_settings
from crewship.registry.options import RegistryOptions
from crewship.registry.sockets import keep_deadlines
from crewship.settings.options import Options
from provisioning.toolbox import host_engine, registry_options

PATIENCE_S: Final = 5.0
LEAST_FREE: Final = 2_000_000_000  # bytes: an image of a few features
USUAL_FREE: Final = 10_000_000_000
MOST_SKEW_S: Final = 5.0  # tokens, TLS and a host's heartbeat are told by clocks
KEY_LENGTH: Final = 50


Check = Callable[[], Iterable[Finding]]


def findings(options: Options, key_given: str) -> list[Finding]:
    """All of them, in a fixed order. ``key_given``: CREWSHIP_SECRET_KEY as the operator has it."""
    checks: list[Check] = [
        lambda: engine(options),
        lambda: redis_server(options),
        lambda: data_directory(options.data_dir),
        lambda: secret_key(options.data_dir, key_given),
        server_clock,
        lambda: installation(options),
        lambda: registries(options),
        lambda: mise(options),
    ]
    with ThreadPoolExecutor(len(checks)) as pool:
        return list(chain.from_iterable(pool.map(lambda check: list(check()), checks)))


def engine(options: Options) -> Iterable[Finding]:
    """Reachable, what it is, its clock, and the room below its data root where that is here."""
    try:
        info = host_engine().info()
    except EngineError as error:
        yield Finding("engine", BROKEN, error.message, error.error_hint)
        return
    what = f"{info.version} on {info.platform}, storage {info.storage_driver}"
    if info.storage_driver in ("vfs", "devicemapper"):
        yield Finding("engine", WARNING, what, "Use overlay2: each layer is a whole copy here.")
    else:
        yield Finding("engine", OK, what)
    yield from host_name(options, info)
    yield from engine_clock(info)
    yield engine_room(info, options)


def engine_room(info: EngineInfo, options: Options) -> Finding:
    """The disk with the images: builds stop at its floor, where it can be seen."""
    if seen := engine_disk(info, options.engine_disk):
        return disk("engine disk", Path(seen.root))
    where = options.engine_disk or info.data_root or "its data root"
    text = f"unchecked: {where} of the engine is not seen on this machine"
    return Finding(
        "engine disk", WARNING, text, "Mount it here and name it in CREWSHIP_ENGINE_DISK."
    )


def engine_clock(info: EngineInfo) -> Iterable[Finding]:
    if info.clock:
        # Nanoseconds are more than Python reads.
        moment = datetime.fromisoformat(re.sub(r"\.\d+", "", info.clock))
        yield skew("engine clock", moment.timestamp() - time.time())


def redis_server(options: Options) -> Iterable[Finding]:
    try:
        with redis.from_url(options.redis_url, socket_timeout=PATIENCE_S) as client:
            version = client.info("server")["redis_version"]
            policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    except redis.exceptions.ResponseError:  # hosted ones forbid CONFIG
        hint = "Make sure that it is noeviction: jobs must not be evicted."
        yield Finding("redis", WARNING, "its maxmemory-policy can't be read", hint)
    except (redis.exceptions.RedisError, OSError) as error:
        if options.redis_is_embedded:
            hint = "`crewship start` brings it along; nothing to do while that does not run."
            yield Finding("redis", WARNING, "the embedded one is not running", hint)
        else:
            hint = "Start it, or correct CREWSHIP_REDIS_URL."
            yield Finding("redis", BROKEN, f"does not answer: {error}", hint)
    else:
        if policy == "noeviction":
            yield Finding("redis", OK, f"{version}, maxmemory-policy {policy}")
        else:
            hint = "Set it to noeviction: jobs are no cache entries, and would be lost."
            yield Finding("redis", BROKEN, f"{version}, maxmemory-policy {policy}", hint)


def data_directory(path: Path) -> Iterable[Finding]:
    if not path.is_dir():
        hint = "`crewship start` or `manage.py bootstrap` makes it."
        yield Finding("data directory", WARNING, f"{path} is not there yet", hint)
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        hint = "Give it to the user that runs the server."
        yield Finding("data directory", BROKEN, f"{path} can't be written", hint)
    elif mode & 0o077:
        hint = f"chmod 700 {path}: it holds secrets, tokens and logs."
        yield Finding("data directory", WARNING, f"{path} has mode {mode:04o}", hint)
    else:
        yield Finding("data directory", OK, f"{path}, mode {mode:04o}")
    yield disk("data disk", path)


def secret_key(data_dir: Path, given: str) -> Iterable[Finding]:
    file = data_dir / "secret-key"
    if given:
        if len(given) >= KEY_LENGTH:
            yield Finding("secret key", OK, "from CREWSHIP_SECRET_KEY")
        else:
            hint = f"Use at least {KEY_LENGTH} characters."
            yield Finding("secret key", WARNING, "CREWSHIP_SECRET_KEY is short", hint)
    elif not file.exists():
        hint = "`crewship start` makes it."
        yield Finding("secret key", WARNING, "not made yet", hint)
    elif stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield Finding("secret key", BROKEN, "others can read it", f"chmod 600 {file}")
    elif not os.access(file, os.R_OK) or not file.read_text().strip():
        hint = "Restore it from a backup: sessions and stored secrets depend on it."
        yield Finding("secret key", BROKEN, f"{file} can't be read or is empty", hint)
    else:
        yield Finding("secret key", OK, "in the data directory, for its owner only")


def _ask(method: str, url: str, **options: Any) -> httpx.Response:  # Any: httpx's
    """The answer, within PATIENCE_S for all of it, its headers and body too.

    Raises httpx.HTTPError, httpx.InvalidURL, OSError, RegistryUnreachable.
    """
    headers = options.pop("headers", None)
    with httpx.Client(timeout=PATIENCE_S, **options) as http:
        keep_deadlines(http)
        with within(Deadline(PATIENCE_S)):
            return http.request(method, url, headers=headers)


def server_clock() -> Iterable[Finding]:
    """Only where somebody is logged in: which server is meant is not known otherwise."""
    try:
        account = read_account(os.environ)
    except ConfigError:
        return
    try:
        # An older server behind TLS answers plain requests with a redirect.
        headers = {"X-Forwarded-Proto": "https"}
        answer = _ask("GET", f"{account.url}/readyz", headers=headers)
        ahead = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
    except (httpx.HTTPError, httpx.InvalidURL, RegistryError, KeyError, ValueError) as error:
        hint = "Start it, or `crewship login` to another."
        yield Finding("server", WARNING, f"{account.url} does not answer: {error}", hint)
        return
    if answer.is_success:
        yield Finding("server", OK, f"{account.url} is ready")
    else:
        hint = "Its log says more: logs/ in the data directory."
        yield Finding("server", BROKEN, f"{account.url} is not ready", hint)
    yield skew("server clock", ahead)


def registries(options: Options) -> Iterable[Finding]:
    """Each registry that base images or features may come from, where it is really asked."""
    known = registry_options(options)
    publishers = [p for p in options.policy.publishers if p not in options.registry.layouts]
    hosts = dict.fromkeys([*options.policy.registries, *(p.partition("/")[0] for p in publishers)])
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        yield from pool.map(lambda host: _registry(host, known), hosts)


def _registry(host: str, known: RegistryOptions) -> Finding:
    endpoint = known.endpoint(host, "x")
    name = f"registry {host}"
    where = "" if endpoint.host.endswith(host) else f" at {endpoint.host}"
    try:
        answer = _ask("GET", f"{endpoint.base_url}/v2/", verify=_trust(known.ca_bundle))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, RegistryError) as error:
        hint = "Needed for what is not on this host yet: check network and proxy, or set a mirror."
        return Finding(name, WARNING, f"can't be reached{where}: {_short(error)}", hint)
    if answer.status_code in (200, 401):
        return Finding(name, OK, f"reachable{where}")
    hint = "Check CREWSHIP_REGISTRY_MIRRORS and the proxy."
    return Finding(name, WARNING, f"answers {answer.status_code}{where}", hint)


def mise(options: Options) -> Iterable[Finding]:
    """Whether the source could give a binary; nothing is downloaded."""
    try:
        source = MiseSource.parse(options.mise_source)
    except MiseUnavailable as error:
        yield Finding("mise", BROKEN, error.message, "Correct CREWSHIP_MISE_SOURCE.")
        return
    digest = source.digest or next(iter(NPM_PINS.values())).binary_digest
    if source.kind == "path":
        usable = os.access(source.location, os.R_OK)
        text = source.location if usable else f"{source.location} can't be read"
        hint = "" if usable else "Correct CREWSHIP_MISE_SOURCE, or the file's permissions."
        yield Finding("mise", OK if usable else BROKEN, text, hint)
    elif _stored(options.data_dir, digest):
        yield Finding("mise", OK, "in the store already")
    else:
        yield _mise_server(source)


def _mise_server(source: MiseSource) -> Finding:
    npm = npm_settings(os.environ, Path.home())
    url = source.location if source.kind == "url" else npm.registry
    host = urlsplit(url).netloc.rpartition("@")[2]
    hint = "Let this host reach it, or set CREWSHIP_MISE_SOURCE to a path or URL#sha256=."
    try:
        answer = _ask("HEAD", url, follow_redirects=True, verify=_trust(npm.ca_bundle))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, RegistryError) as error:
        return Finding("mise", WARNING, f"{host} can't be reached: {_short(error)}", hint)
    if answer.status_code >= 500 or (source.kind == "url" and not answer.is_success):
        return Finding("mise", WARNING, f"{host} answers {answer.status_code}", hint)
    return Finding("mise", OK, f"from {host}")


def _stored(data_dir: Path, digest: str) -> bool:
    name = digest.removeprefix("sha256:")
    return any((data_dir / "store").rglob(f"*{name}*")) if (data_dir / "store").is_dir() else False


def disk(name: str, path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{size(free)} free at {path}"
    if free < LEAST_FREE:
        return Finding(name, BROKEN, text, "Free space: `crewship cache gc`, docker system df.")
    if free < USUAL_FREE:
        return Finding(name, WARNING, text, "Images take a few hundred MB each.")
    return Finding(name, OK, text)


def skew(name: str, ahead_s: float) -> Finding:
    """``ahead_s``: how far the other clock is ahead of this machine's."""
    if abs(ahead_s) <= MOST_SKEW_S:
        return Finding(name, OK, "agrees with this machine's")
    word = "ahead of" if ahead_s > 0 else "behind"
    text = f"{duration(abs(ahead_s))} {word} this machine's"
    return Finding(name, WARNING, text, "Let both take their time from NTP.")


def _trust(ca_bundle: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_bundle is not None:
        context.load_verify_locations(cafile=str(ca_bundle))
    return context


def _short(error: Exception) -> str:
    return str(error) or type(error).__name__
