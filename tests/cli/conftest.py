"""The ``crewship`` command in this process, against the real API without a server between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client as DjangoClient
from typer.testing import CliRunner, Result

from crewship.cli import login, session
from crewship.cli.account import Account
from crewship.cli.client import Client
from crewship.cli.main import app
from tests.cast import Cast
from tests.cli.server import Cli
from tests.engine.real import require_engine
from tests.stack.features import NAMESPACE, pack_test_features
from tests.stack.server import running_stack

URL = "http://testserver"
OF_THE_BODY = ("content-type", "content-length")


class Crewship:
    """``crewship("crew", "list")``: the command as Alice runs it; ``by=`` names somebody else."""

    def __init__(self, cast: Cast, home: Path) -> None:
        self._cast = cast
        self.home = home

    def __call__(self, *args: str, by: str = "alice", stdin: str = "", **env: str) -> Result:
        account = {"CREWSHIP_URL": URL, "CREWSHIP_TOKEN": self._cast.person(by).secret}
        return self.anonymous(*args, stdin=stdin, **{**account, **env})

    def anonymous(self, *args: str, stdin: str = "", **env: str) -> Result:
        unset = dict.fromkeys(("CREWSHIP_URL", "CREWSHIP_TOKEN", "CREWSHIP_WORKSPACE"))
        whole: dict[str, str | None] = {**unset, "HOME": str(self.home), **env}
        result = CliRunner().invoke(app, args, input=stdin, env=whole)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    def json(self, *args: str, **given: str) -> Any:
        """What was printed, which must be JSON and nothing else."""
        return json.loads(self(*args, "--json", **given).stdout)


def answer(request: httpx.Request) -> httpx.Response:
    """What the API answers, asked without a socket and within the test's transaction."""
    got = DjangoClient(raise_request_exception=False).generic(
        request.method,
        request.url.raw_path.decode(),
        request.content,
        content_type=request.headers.get("Content-Type", "application/json"),
        headers={k: v for k, v in request.headers.items() if k not in OF_THE_BODY},
    )
    content = got.getvalue()
    return httpx.Response(got.status_code, headers=dict(got.items()), content=content)


@pytest.fixture
def crewship(cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crewship:
    def patched(account: Account, **more: Any) -> Client:
        return Client(account, httpx.MockTransport(answer), **more)

    for module in (session, login):
        monkeypatch.setattr(module, "Client", patched)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    return Crewship(cast, home)


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A real server with tiny features, and the command as its owner runs it. Images are the
    installation's own, so that nobody else's test on this engine has them."""
    require_engine().close()
    layout = pack_test_features(tmp_path_factory.mktemp("features"))
    settings = {
        "CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}",
        "CREWSHIP_CACHE_SCOPE": "workspace",
    }
    with running_stack(tmp_path_factory.mktemp("cli") / "data", settings, workers=1) as stack:
        yield Cli(stack, stack.bootstrap(), tmp_path_factory.mktemp("home"))
