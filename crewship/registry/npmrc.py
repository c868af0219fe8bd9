"""Where npm packages come from on this host, as npm itself decides it; npm need not be there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_REGISTRY = "https://registry.npmjs.org"
SYSTEM_FILES = (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc"))
CA_VARIABLES = (
    "NPM_CONFIG_CAFILE",
    "npm_config_cafile",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
)


@dataclass(frozen=True, slots=True)
class NpmSettings:
    registry: str  # without a trailing slash
    ca_bundle: Path | None  # an existing file


def npm_settings(
    environ: Mapping[str, str], home: Path, system_files: tuple[Path, ...] = SYSTEM_FILES
) -> NpmSettings:
    """The registry and CA bundle: environment before ~/.npmrc before the system's npmrc."""
    merged: dict[str, str] = {}
    user_file = Path(environ.get("NPM_CONFIG_USERCONFIG") or home / ".npmrc")
    for path in (*reversed(system_files), user_file):
        merged.update(_read(path, environ))
    from_env = environ.get("NPM_CONFIG_REGISTRY") or environ.get("npm_config_registry")
    registry = from_env or merged.get("registry") or DEFAULT_REGISTRY
    candidates = [environ.get(name, "") for name in CA_VARIABLES]
    candidates.insert(2, merged.get("cafile", ""))
    bundle = next((Path(text) for text in candidates if text and Path(text).is_file()), None)
    return NpmSettings(registry.rstrip("/"), bundle)


def _read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """``registry`` and ``cafile`` of one file; no other line is kept (some hold secrets)."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = re.findall(r"(?m)^[ \t]*(registry|cafile)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text)
    return {key: _expand(value.strip("\"'"), environ) for key, value in found if value}


def _expand(value: str, environ: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda match: environ.get(match[1], match[0]), value)
