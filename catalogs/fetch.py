"""Where fetched entries come from: publishers' collections, and ``mise registry --json``."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalogs.entries import FeatureEntry, RuntimeEntry, published_feature
from crewship.domain.errors import MiseUnavailable
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.collections import fetch_collection, one_line
from crewship.registry.mise import NPM_PINS, MiseSource
from crewship.registry.options import RegistryOptions

MISE_TIMEOUT_S: Final = 30.0
MISE_LIMIT: Final = 20 * 1024 * 1024  # bytes; 0.4 MB at the pinned version
MAX_RUNTIMES: Final = 10_000

_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
_TOOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_BACKEND = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a refresh may ask. ``registry`` has time-outs fit for many publishers in a row."""

    registry: RegistryOptions
    publishers: tuple[str, ...]
    mise: str  # as CREWSHIP_MISE_SOURCE has it
    store: Path


def fetch_features(client: OciClient, publisher: str, blobs: BlobStore) -> tuple[FeatureEntry, ...]:
    """What the publisher lists; never nothing. Raises RegistryError."""
    listed = fetch_collection(client, publisher, blobs)
    return tuple(published_feature(publisher, feature) for feature in listed)


def fetch_runtimes(mise: str, blobs: BlobStore) -> tuple[RuntimeEntry, ...]:
    """What the mise that is in the store knows; never nothing. Nothing is downloaded for it.

    Raises MiseUnavailable, also when there is no mise yet.
    """
    program = _find_mise(MiseSource.parse(mise), blobs)
    if program is None:
        raise MiseUnavailable("There is no mise in the store yet; the first build fetches it.")
    found = _parse(_run(program, blobs))
    if not found:
        raise MiseUnavailable("mise lists no tool.")
    return found


def _find_mise(source: MiseSource, blobs: BlobStore) -> Path | None:
    if source.kind == "path":
        return Path(source.location)
    if source.kind == "url":
        return blobs.find(source.digest)
    pin = NPM_PINS.get(_PLATFORMS.get(platform.machine(), ""))
    return blobs.find(pin.binary_digest) if pin else None


def _run(program: Path, blobs: BlobStore) -> bytes:
    """Its output, from a directory without configs and with nothing of our environment."""
    with tempfile.TemporaryDirectory(dir=blobs.root / "tmp") as home, blobs.temporary() as out:
        try:
            with out.open("wb") as stdout:
                subprocess.run(
                    ["mise", "registry", "--json"],  # the name decides what the program is
                    executable=program,
                    cwd=home,
                    env={"HOME": home, "PATH": "/usr/bin:/bin", "MISE_OFFLINE": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=subprocess.DEVNULL,
                    timeout=MISE_TIMEOUT_S,
                    check=True,
                )
        except subprocess.TimeoutExpired as err:
            raise MiseUnavailable(f"mise did not finish within {MISE_TIMEOUT_S:g} s.") from err
        except subprocess.CalledProcessError as err:
            raise MiseUnavailable(f"mise ended with {err.returncode}.") from err
        except OSError as err:
            raise MiseUnavailable(f"mise can't be run: {err.strerror}.") from err
        if out.stat().st_size > MISE_LIMIT:
            raise MiseUnavailable(f"mise printed more than {MISE_LIMIT} bytes.")
        return out.read_bytes()


def _parse(output: bytes) -> tuple[RuntimeEntry, ...]:
    try:
        rows = json.loads(output)
    except (ValueError, RecursionError) as err:
        raise MiseUnavailable("mise printed no JSON.") from err
    found: dict[str, RuntimeEntry] = {}
    for raw in rows[:MAX_RUNTIMES] if isinstance(rows, list) else []:
        tool = raw.get("short") if isinstance(raw, dict) else None
        if not isinstance(tool, str) or not _TOOL.fullmatch(tool):
            continue
        description = one_line(raw.get("description")).removesuffix(" (Builtin plugin)")
        found[tool] = RuntimeEntry(tool, description=description, backends=_backends(raw))
    return tuple(found.values())


def _backends(raw: dict[str, object]) -> tuple[str, ...]:
    """``aqua`` of ``aqua:cli/cli``: each once, mise's preferred one first."""
    listed = raw.get("backends")
    names = [str(x).partition(":")[0] for x in listed] if isinstance(listed, list) else []
    return tuple(dict.fromkeys(name for name in names if _BACKEND.fullmatch(name)))
