"""Which server the client commands speak to, and with which token."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crewship.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Account:
    url: str  # without a trailing slash
    token: str


def config_file(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")) / ".config")
    return Path(base).expanduser() / "crewship" / "config.toml"


def read_account(environ: Mapping[str, str]) -> Account:
    """CREWSHIP_URL and CREWSHIP_TOKEN win over the file. Raises ConfigError where one is missing
    or the file is broken. A token from the file goes to the file's server only."""
    url, token = environ.get("CREWSHIP_URL", ""), environ.get("CREWSHIP_TOKEN", "")
    if not (url and token):
        stored = _read(config_file(environ))
        stored_url = stored.get("url", "")
        if not token and (not url or url.rstrip("/") == stored_url):
            token = stored.get("token", "")
        url = url or stored_url
    if not (url and token):
        raise ConfigError(
            "There is no server and token to speak with.",
            code="not_logged_in",
            hint="Run `crewship login`, or set CREWSHIP_URL and CREWSHIP_TOKEN.",
        )
    return Account(url.rstrip("/"), token)


def write_account(account: Account, environ: Mapping[str, str]) -> Path:
    """The file has the account and is readable by its owner only, also while it is written."""
    path = config_file(environ)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in (("url", account.url.rstrip("/")), ("token", account.token))
    )
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(path)
    return path


def _read(path: Path) -> dict[str, str]:
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as err:
        raise ConfigError(
            f"{path} can't be read: {err}", code="config_file", hint="Run `crewship login` again."
        ) from err
    return {key: value for key, value in values.items() if isinstance(value, str)}
