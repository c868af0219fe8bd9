"""Credentials as ``docker login`` leaves them: config.json with auths, credHelpers, credsStore.

They are the operator's and serve all workspaces. Nothing of them is logged or kept here. A helper
is the program ``docker-credential-<name>`` on PATH, called without a shell and with a time-out.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from crewship.registry.options import Credentials

HELPER_TIMEOUT_S = 10
CONFIG_LIMIT = 1024 * 1024  # bytes
IDENTITY_USER = "<token>"
DOCKER_IO_KEY = "https://index.docker.io/v1/"
_DOCKER_IO_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})

log = logging.getLogger(__name__)


def docker_config_path() -> Path:
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def credentials_for(host: str, config_path: Path | None = None) -> Credentials | None:
    """User and secret for a registry host (``ghcr.io``, ``registry.example:5443``), or None.

    Order: the host's credHelper, the credsStore, auths. An identity token comes with the user
    ``<token>``. A broken config or helper counts as no credentials and is logged: public
    features must still be reachable.
    """
    config = _read(config_path or docker_config_path())
    helpers = _object(config.get("credHelpers"))
    helper = next((v for k, v in helpers.items() if _host(k) == _host(host)), None)
    for name in (helper, config.get("credsStore")):
        if isinstance(name, str) and name:
            found = _ask_helper(name, _server_key(host))
            if found is not None:
                return found
    for key, entry in _object(config.get("auths")).items():
        if _host(key) == _host(host):
            found = _from_entry(_object(entry))
            if found is not None:
                return found
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _object(json.loads(file.read(CONFIG_LIMIT)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        log.warning("The docker config.json can't be read; registries are asked anonymously.")
        return {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _host(key: str) -> str:
    """``https://ghcr.io/v2/`` and ``ghcr.io`` are one host; so are Docker Hub's names."""
    host = key.partition("://")[2] or key
    host = host.partition("/")[0].lower()
    return "docker.io" if host in _DOCKER_IO_HOSTS else host


def _server_key(host: str) -> str:
    return DOCKER_IO_KEY if _host(host) == "docker.io" else host


def _from_entry(entry: dict[str, Any]) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return IDENTITY_USER, token
    user, secret = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        try:
            text = base64.b64decode(entry["auth"], validate=True).decode()
        except ValueError:
            log.warning("An auths entry of the docker config.json is not valid base64.")
            return None
        user, _, secret = text.partition(":")
        secret = secret.rstrip("\0")  # old docker versions padded it
    if isinstance(user, str) and isinstance(secret, str) and user and secret:
        return user, secret
    return None


def _ask_helper(name: str, server: str) -> Credentials | None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        log.warning("The docker config.json names a credential helper that is no program name.")
        return None
    try:
        done = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=server.encode(),
            capture_output=True,
            timeout=HELPER_TIMEOUT_S,
            check=False,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, subprocess.TimeoutExpired, ValueError) as err:
        log.warning("docker-credential-%s failed: %s", name, type(err).__name__)
        return None
    user, secret = _object(answer).get("Username"), _object(answer).get("Secret")
    if isinstance(user, str) and isinstance(secret, str) and user and secret:
        return user, secret
    return None  # exit code 1: the helper has nothing for this server
