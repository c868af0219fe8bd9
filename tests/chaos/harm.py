"""What is done to an installation: each returns when the weather is good again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from provisioning.faults import FaultPoint
from tests.chaos.scene import PATIENCE_S, WORKERS, Build, Scene, is_at_work
from tests.stack.redis import servers_at
from tests.stack.server import wait_until

STOPPED_S = 60.0


def last(seconds: float) -> None:
    """The bad weather lasts that long: time itself is what is tested."""
    time.sleep(seconds)


def kill_at(scene: Scene, point: FaultPoint, whom: str) -> Build:
    build = scene.start_and_hold(point)
    os.kill(build.horse if whom == "horse" else build.worker, signal.SIGKILL)
    # The horse dies with its worker.
    wait_until(lambda: not is_at_work(build.horse), PATIENCE_S, "the horse is dead")
    scene.let_go(point)
    return build


def stop_at(scene: Scene, point: FaultPoint, whom: str) -> Build:
    """It does nothing for a minute and then goes on as if nothing had been."""
    build = scene.start_and_hold(point)
    stopped = build.horse if whom == "horse" else build.worker
    os.kill(stopped, signal.SIGSTOP)
    scene.let_go(point)
    last(STOPPED_S)
    os.kill(stopped, signal.SIGCONT)
    return build


def restart_engine(scene: Scene, with_signal: int) -> Build:
    assert scene.engine is not None
    build = scene.start_slow(8)
    scene.engine.stop(with_signal)
    scene.engine.start()
    return build


def redis_away(scene: Scene, seconds: float) -> Build:
    assert scene.redis is not None
    build = scene.start_slow(8)
    scene.redis.kill()
    last(seconds)
    scene.redis.start()
    return build


def kill_embedded_redis(scene: Scene) -> Build:
    build = scene.start_slow(8)
    _kill_redis(scene)
    return build


def damage_redis_log(scene: Scene) -> Build:
    """The embedded Redis dies and finds its log broken in the middle when it starts."""
    build = scene.start_slow(8)
    folder = scene.stack.data_dir / "redis"
    [log] = folder.rglob("*.incr.aof")
    # The supervisor starts it again within a second: damaged while it runs, then it is killed.
    data = log.read_bytes()
    middle = len(data) // 2
    with log.open("r+b") as file:
        file.seek(middle)
        file.write(b"\0garbage\xff" * 4)
    _kill_redis(scene)
    return build


def flush_redis(scene: Scene) -> Build:
    from redis import Redis

    build = scene.start_slow(8)
    waiting = scene.layered_crew()
    scene.api.provision(waiting)
    with Redis(unix_socket_path=str(_redis_socket(scene))) as redis:
        redis.flushall()
    scene.api.wait(waiting, PATIENCE_S)
    return build


def cut_database_twice(scene: Scene) -> Build:
    assert scene.postgres is not None
    server, database = scene.postgres
    build = scene.start_slow(12)
    assert server.cut_sessions(database)
    scene.wait_for_line(build.crew, "| second 6")
    assert server.cut_sessions(database)
    return build


def restart_database(scene: Scene, seconds: float) -> Build:
    assert scene.postgres is not None
    server, _ = scene.postgres
    build = scene.start_slow(12)
    server.stop()
    last(seconds)
    server.start()
    return build


def kill_everything(scene: Scene) -> Build:
    """As when the machine loses its power: what names processes is stale afterwards."""
    build = scene.start_slow(8)
    scene.kill_all()
    if scene.engine is not None:
        scene.engine.stop(signal.SIGKILL)
        scene.engine.start()
    # The worst of stale pid files names a process that lives.
    (scene.stack.data_dir / "start.lock").write_text(f"{os.getpid()}\n")
    scene.stack.start(WORKERS)
    return build


def fill_data_disk(scene: Scene, seconds: float) -> Build:
    build = scene.start_slow(8)
    filler = scene.stack.data_dir.parent / "filler"
    _fill(filler)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _fill(filler)  # what was freed meanwhile
        last(1)
    filler.unlink()
    return build


def fill_engine_disk(scene: Scene) -> Build:
    """One build writes until the engine's disk is full, beside another one."""
    assert scene.engine is not None
    other = scene.start_slow(20)
    greedy = scene.crew({}, onCreateCommand="cat /dev/zero > $HOME/zeros")
    scene.api.provision(greedy)
    status = scene.api.wait(greedy, PATIENCE_S)
    assert status["status"] == "failed", status
    job = scene.api.jobs(greedy)[0]
    assert job["error"]["code"] in DISK_CODES, job["error"]
    return other


DISK_CODES = ("disk_full", "insufficient_storage", "layer_too_big")


def _fill(file: Path) -> None:
    block = bytes(2**16)
    try:
        with file.open("ab", buffering=0) as filler:
            while filler.write(block):
                pass
    except OSError:
        return


def _redis_socket(scene: Scene) -> Path:
    from crewship.settings.options import runtime_dir_for

    return runtime_dir_for(scene.stack.data_dir) / "redis.sock"


def _kill_redis(scene: Scene) -> None:
    path = _redis_socket(scene)
    [server] = servers_at(path)
    os.kill(server, signal.SIGKILL)
    wait_until(
        lambda: (now := servers_at(path)) and now != [server],
        PATIENCE_S,
        "the supervisor starts Redis again",
    )
