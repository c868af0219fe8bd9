"""The ``crewship`` command as processes, against a real server with tiny features."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.stack.features import ref
from tests.stack.server import Api, Stack, wait_until

BIN = Path(sys.executable).parent
PATIENCE_S = 120


class Cli:
    """Commands of one user of the server."""

    def __init__(self, stack: Stack, api: Api, home: Path) -> None:
        self.stack = stack
        self.api = api
        dropped = ("CREWSHIP_", "DJANGO_", "XDG_")
        usual = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        self.env = {
            **usual,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home),
            "CREWSHIP_URL": stack.url,
            "CREWSHIP_TOKEN": api.token,
        }

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "crewship"), *args],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def start(self, *args: str) -> Running:
        return Running(
            subprocess.Popen(
                [str(BIN / "crewship"), *args],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def crew(self, features: dict[str, Any], **config: Any) -> str:
        """The slug of a new crew, whose image nobody else has."""
        slug = f"crew-{uuid.uuid4().hex[:8]}"
        self.api.crew(
            slug,
            {
                "image": "debian:bookworm-slim",
                "features": {ref(name): options for name, options in features.items()},
                "containerEnv": {"NONCE": uuid.uuid4().hex},
                **config,
            },
        )
        return slug

    def id_of(self, slug: str) -> str:
        return str(self.api.http.get(f"/crews?slug={slug}").json()["results"][0]["id"])

    def wait_for_line(self, slug: str, line: str) -> None:
        """The crew's job has come so far."""

        def is_there() -> bool:
            tail: list[str] = self.api.status(self.id_of(slug)).get("log_tail", [])
            return line in tail

        wait_until(is_there, PATIENCE_S, f"{line!r} in the log of {slug}", 0.2)


class Running:
    """A command under way, read to its end by ``finish``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read_until(self, line: str) -> None:
        assert self._process.stdout is not None
        for got in self._process.stdout:
            if got.rstrip("\n") == line:
                return
        raise AssertionError(f"it ended without {line!r}")

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, and what is left of both streams."""
        out, err = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, out, err


def only_json(text: str) -> Any:
    """The text's one JSON value; ValueError when there is anything beside it."""
    return json.loads(text)
