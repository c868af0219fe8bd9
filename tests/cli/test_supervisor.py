"""The loop, with small real children; time is the test's own where a pause matters."""

from __future__ import annotations

import errno
import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crewship.cli.supervisor.child import Backoff, ChildSpec, ChildState, Stage
from crewship.cli.supervisor.log_file import LogBounds
from crewship.cli.supervisor.output import Screen
from crewship.cli.supervisor.supervisor import StopRequested, Supervisor
from crewship.domain.errors import RedisUnavailable, StartFailed

FOREVER = "exec sleep 600"
STUBBORN = "trap '' TERM; echo deaf; while :; do sleep 600; done"
PATIENCE_S = 30.0


class Clock:
    """Runs as the real one does, and can be moved."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, clock: Clock, screen: io.StringIO) -> Iterator[Supervisor]:
    backoff = Backoff(first=100.0, most=400.0, calm=10_000.0)
    made = Supervisor(tmp_path / "logs", Screen(screen, {}), backoff=backoff, clock=clock)
    yield made
    made.close()


class FailsSecondTime:
    """What a spec has done before each start."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == 2:
            raise RedisUnavailable("no room")


def shell(script: str, name: str = "child", *, grace_s: float = 10.0) -> ChildSpec:
    return ChildSpec(name, ("sh", "-c", script), os.environ, grace_s=grace_s)


def once(script: str) -> ChildSpec:
    return ChildSpec("once", ("sh", "-c", script), os.environ, restart=False)


def turn_until(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < limit, "it did not happen"
        supervisor.turn(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_lines_of_a_child_are_on_the_screen_with_its_name(supervisor, screen):
    supervisor.start(shell(f"echo hello; {FOREVER}"))
    turn_until(supervisor, lambda: "hello" in screen.getvalue())
    assert screen.getvalue() == "child     | hello\n"


def test_lines_of_a_child_are_in_its_file(supervisor, screen, tmp_path):
    supervisor.start(shell(f"echo out; echo err >&2; {FOREVER}"))
    turn_until(supervisor, lambda: "err" in screen.getvalue())
    assert (tmp_path / "logs" / "child.log").read_text() == "out\nerr\n"


def test_a_crash_is_told_with_its_exit_code(supervisor, screen):
    child = supervisor.start(shell("exit 7"))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    assert "child ended with exit code 7; starting it again in 100 s" in screen.getvalue()


def test_a_killed_child_is_told_with_the_signal(supervisor, screen):
    child = supervisor.start(shell("kill -KILL $$"))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    assert "child was ended by SIGKILL" in screen.getvalue()


def test_a_crashed_child_runs_again_after_the_pause(supervisor, clock, tmp_path):
    mark = tmp_path / "mark"
    child = supervisor.start(shell(f"[ -e {mark} ] && {FOREVER}; touch {mark}; exit 1"))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    clock.ahead += 100.0
    supervisor.turn(0)
    assert child.state is ChildState.RUNNING


def test_a_crashed_child_does_not_run_again_before_the_pause(supervisor, clock):
    child = supervisor.start(shell("exit 1"))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    clock.ahead += 50.0
    supervisor.turn(0)
    assert child.state is ChildState.WAITING


@pytest.mark.parametrize(("crashes", "pause"), [(1, 0.5), (2, 1.0), (4, 4.0), (9, 30.0), (99, 30)])
def test_pauses_double_up_to_a_limit(crashes, pause):
    assert Backoff().pause(crashes) == pause


def test_a_program_that_is_not_there_is_a_crash_and_no_end_of_the_supervisor(supervisor, screen):
    child = supervisor.start(ChildSpec("ghost", ("/does/not/exist",), os.environ))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    assert "/does/not/exist can't be run: No such file or directory" in screen.getvalue()


def test_a_one_off_that_succeeds_is_gone(supervisor):
    supervisor.run_to_end(once("exit 0"), PATIENCE_S)
    assert supervisor.children == ()


def test_a_one_off_that_fails_raises_with_its_last_lines(supervisor):
    with pytest.raises(StartFailed, match=r"(?s)once ended with exit code 3.*disk is full"):
        supervisor.run_to_end(once("echo disk is full; exit 3"), PATIENCE_S)


def test_a_one_off_that_takes_too_long_is_ended(supervisor):
    with pytest.raises(StartFailed, match=r"once did not get ready in 0\.1 s"):
        supervisor.run_to_end(once(FOREVER), 0.1)
    assert supervisor.children == ()


def test_waiting_ends_when_a_stop_is_requested(supervisor):
    supervisor.request_stop()
    with pytest.raises(StopRequested):
        supervisor.wait_until(lambda: False)


def test_a_child_that_crashes_before_it_is_ready_raises_with_its_last_lines(supervisor):
    child = supervisor.start(shell("echo port taken; exit 1"))
    with pytest.raises(StartFailed, match=r"(?s)child ended with exit code 1.*port taken"):
        supervisor.wait_ready(child, lambda: False, PATIENCE_S)


def test_stop_ends_every_child(supervisor):
    children = [supervisor.start(shell(FOREVER, name)) for name in ("one", "two")]
    pids = [child.pid for child in children]
    supervisor.stop()
    assert not any(is_alive(pid) for pid in pids)


def test_stop_ends_stage_after_stage(supervisor, tmp_path):
    order = tmp_path / "order"
    ready = []
    for stage in reversed(Stage):
        script = (
            f"trap 'echo {stage} >> {order}; exit 0' TERM; echo up; while :; do sleep 0.02; done"
        )
        spec = ChildSpec(f"at-{stage}", ("sh", "-c", script), os.environ, stage=stage)
        ready.append(supervisor.start(spec))
    turn_until(supervisor, lambda: all(child.log.path.stat().st_size for child in ready))
    supervisor.stop()
    assert order.read_text().split() == ["work", "serve", "store"]


def test_a_child_that_does_not_heed_sigterm_is_killed_after_its_grace(supervisor, screen):
    child = supervisor.start(shell(STUBBORN, grace_s=0.1))
    turn_until(supervisor, lambda: "deaf" in screen.getvalue())
    supervisor.stop()
    assert child.exit_code == -signal.SIGKILL
    assert "child did not stop in 0.1 s; killing it" in screen.getvalue()


def test_what_a_child_leaves_behind_in_its_group_is_killed(supervisor, screen):
    child = supervisor.start(shell("sleep 600 & echo $!; sleep 0.05; exit 1"))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    left_behind = int(screen.getvalue().split()[2])
    turn_until(supervisor, lambda: not is_alive(left_behind))


def test_a_child_that_waits_for_its_restart_is_not_started_by_a_stop(supervisor):
    child = supervisor.start(shell("exit 1"))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    supervisor.stop()
    assert child.state is ChildState.ENDED


def test_a_child_that_closes_its_output_goes_on(supervisor):
    child = supervisor.start(shell(f"exec >/dev/null 2>&1; {FOREVER}"))
    turn_until(supervisor, lambda: child.output is None)
    supervisor.turn(0)
    assert child.state is ChildState.RUNNING


def test_a_child_lives_when_its_log_cant_be_written(supervisor, tmp_path, screen):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "child.log").symlink_to("/dev/full")
    child = supervisor.start(shell(f"echo hello; {FOREVER}"))
    turn_until(supervisor, lambda: "hello" in screen.getvalue())
    assert child.state is ChildState.RUNNING


def test_the_log_of_a_noisy_child_is_bounded_while_it_runs(tmp_path):
    bounds = LogBounds(file_bytes=100_000, files=3)
    supervisor = Supervisor(tmp_path / "logs", Screen(io.StringIO(), {}), log_bounds=bounds)
    line = "head -c 9999 /dev/zero | tr '\\0' x; echo"
    script = f"i=0; while [ $i -lt 100 ]; do {line}; i=$((i+1)); done"
    supervisor.start(shell(f"{script}; touch {tmp_path}/done; {FOREVER}"))
    turn_until(supervisor, lambda: (tmp_path / "done").exists())
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "logs").iterdir()}
    supervisor.close()
    assert set(sizes) == {"child.log", "child.log.1", "child.log.2"}
    assert max(sizes.values()) <= 100_000


def test_a_stop_is_orderly_when_logs_cant_be_written(supervisor, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "child.log").symlink_to("/dev/full")
    child = supervisor.start(shell("trap 'echo bye; exit 3' TERM; while :; do sleep 0.02; done"))
    turn_until(supervisor, lambda: is_alive(child.pid))
    supervisor.stop()
    assert not child.pid


def test_a_start_that_fails_later_is_tried_again_and_costs_no_other_child(
    supervisor, clock, screen
):
    other = supervisor.start(shell(FOREVER, "other"))
    spec = shell("exit 1")
    child = supervisor.start(replace(spec, before=FailsSecondTime()))
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    clock.ahead += 100.0
    supervisor.turn(0)
    assert "child can't be started (no room); starting it again in 200 s" in screen.getvalue()
    assert (child.state, other.state) == (ChildState.WAITING, ChildState.RUNNING)


def test_a_process_that_cant_be_made_is_a_failed_start(supervisor, monkeypatch):
    def refused(*_args: object, **_more: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("crewship.cli.supervisor.child.spawn", refused)
    with pytest.raises(StartFailed, match="child can't be started"):
        supervisor.start(shell(FOREVER))


def test_what_was_done_about_a_crash_is_said(supervisor, screen):
    spec = replace(shell("echo broken; exit 1"), mend=lambda last: f"mended {last[-1]}")
    child = supervisor.start(spec)
    turn_until(supervisor, lambda: child.state is ChildState.WAITING)
    assert "crewship  | mended broken\n" in screen.getvalue()


def test_sigterm_ends_the_run(supervisor):
    before = signal.getsignal(signal.SIGTERM)
    with supervisor.signals():
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.run()
    assert signal.getsignal(signal.SIGTERM) == before
