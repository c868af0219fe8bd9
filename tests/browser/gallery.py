"""A web server over seeded rows: every page in every state, without an engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.stack.server import PROJECT, free_port, wait_until

BIN = Path(sys.executable).parent


@contextmanager
def running_gallery(data_dir: Path, password: str) -> Iterator[str]:
    """The server's URL; its people are ``gallery_seed.PEOPLE`` with that password."""
    data_dir.mkdir(parents=True)
    port, redis_port = free_port(), free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("CREWSHIP_", "DJANGO_"))},
        "CREWSHIP_DATA_DIR": str(data_dir),
        "CREWSHIP_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CREWSHIP_ANONYMOUS_REQUESTS_PER_MINUTE": "100000",
        "CREWSHIP_USER_REQUESTS_PER_MINUTE": "100000",
        "CREWSHIP_TOKENS_PER_USER": "1000",
        "CREWSHIP_LOG_LEVEL": "WARNING",
    }
    manage = [sys.executable, str(PROJECT / "manage.py")]
    code = f"from tests.browser.gallery_seed import seed; seed({password!r})"
    for command in (["migrate", "-v0"], ["shell", "-v0", "-c", code]):
        subprocess.run([*manage, *command], env=environment, check=True, cwd=PROJECT)
    redis = ["redis-server", "--port", str(redis_port), "--save", "", "--dir", str(data_dir)]
    web = [str(BIN / "uvicorn"), "crewship.asgi:application", "--port", str(port)]
    with (data_dir / "gallery.log").open("ab") as log:
        started = [
            subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=log, stderr=log)
            for command in (redis, web)
        ]
    try:
        wait_until(lambda: _is_up(f"http://127.0.0.1:{port}"), 120, f"gallery ({data_dir})")
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in started:
            process.terminate()
            process.wait(20)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False
