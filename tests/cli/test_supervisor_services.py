from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from crewship.cli.supervisor.child import Stage
from crewship.cli.supervisor.lock import locked
from crewship.cli.supervisor.services import Bind, Services, is_healthy, probe_header
from crewship.domain.errors import DataDirInUse, StartFailed


def services(tmp_path: Path, bind: str = "127.0.0.1:8000", **environ: str) -> Services:
    return Services(Bind.parse(bind), 2, tmp_path, None, "redis://elsewhere/0", environ)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8000", Bind("127.0.0.1", 8000)),
        ("localhost:1", Bind("localhost", 1)),
        ("[::1]:8000", Bind("::1", 8000)),
    ],
)
def test_an_address_is_read(text, bind):
    assert Bind.parse(text) == bind


@pytest.mark.parametrize("text", ["", "8000", "host", ":8000", "host:", "host:0", "host:65536"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="is not an address"):
        Bind.parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("10.0.0.5:80", "http://10.0.0.5:80"),
    ],
)
def test_the_shown_address_can_be_opened(text, url):
    assert Bind.parse(text).url == url


def test_a_port_in_use_is_told_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = Bind("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartFailed, match="is in use"):
            bind.check_free()


def test_every_process_knows_data_directory_and_redis(tmp_path):
    made = services(tmp_path)
    for spec in (made.migrate_spec(), made.web_spec(), *made.background_specs()):
        assert spec.env["CREWSHIP_DATA_DIR"] == str(tmp_path)
        assert spec.env["CREWSHIP_REDIS_URL"] == "redis://elsewhere/0"


def test_workers_get_the_long_grace_and_stop_first(tmp_path):
    specs = [s for s in services(tmp_path).background_specs() if s.name.startswith("worker-")]
    assert [(s.name, s.stage, s.grace_s) for s in specs] == [
        ("worker-1", Stage.WORK, 30.0),
        ("worker-2", Stage.WORK, 30.0),
    ]


def test_the_address_listened_on_is_an_allowed_host(tmp_path):
    env = services(tmp_path, "10.0.0.5:8000").child_env
    assert env["CREWSHIP_ALLOWED_HOSTS"] == "+10.0.0.5"


def test_the_operators_allowed_hosts_stand(tmp_path):
    env = services(tmp_path, "10.0.0.5:8000", CREWSHIP_ALLOWED_HOSTS="a.example").child_env
    assert env["CREWSHIP_ALLOWED_HOSTS"] == "a.example"


@pytest.mark.parametrize(
    ("allowed", "header"),
    [
        ("", "127.0.0.1:8000"),
        ("*", "127.0.0.1:8000"),
        ("+b.example", "127.0.0.1:8000"),
        ("a.example,b.example", "a.example"),
        (".example.com", "example.com"),
    ],
)
def test_the_probe_names_a_host_that_is_allowed(allowed, header):
    bind = Bind("127.0.0.1", 8000)
    assert probe_header(bind, {"CREWSHIP_ALLOWED_HOSTS": allowed}) == header


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (301, False), (500, False)])
def test_healthy_means_200(httpserver: HTTPServer, status, healthy):
    httpserver.expect_request("/healthz").respond_with_data("", status=status)
    assert is_healthy(Bind("127.0.0.1", httpserver.port), "localhost") is healthy


def test_a_closed_port_is_not_healthy():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not is_healthy(Bind("127.0.0.1", port), "localhost")


def test_a_data_directory_has_one_start_at_a_time(tmp_path):
    refused = pytest.raises(DataDirInUse, match=r"already running.*process \d+")
    with locked(tmp_path), refused, locked(tmp_path):
        pass


def test_a_data_directory_is_free_again_afterwards(tmp_path):
    with locked(tmp_path):
        pass
    with locked(tmp_path / "deeper" / "still"), locked(tmp_path):
        pass
