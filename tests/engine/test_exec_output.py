"""Output of commands in real containers: its order, and that joining it changes nothing else."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from tests.stack.server import wait_until

pytestmark = pytest.mark.engine
ALTERNATING = """\
i=0
while [ $i -lt 3000 ]; do
    i=$((i + 1))
    if [ $((i % 2)) = 0 ]; then echo "line $i" >&2; else echo "line $i"; fi
done
"""


def test_stdout_and_stderr_arrive_in_the_order_in_which_they_were_written(
    docker_bench: Bench,
) -> None:
    _, output = docker_bench.run(docker_bench.container(), ("sh", "-c", ALTERNATING))
    assert output.splitlines() == [f"line {n}" for n in range(1, 3001)]


def test_a_command_has_the_pid_that_the_engine_started(docker_bench: Bench) -> None:
    script = "cat /proc/$$/cmdline | tr '\\0' ' '; ls /proc | grep -c '^[0-9]'"
    _, output = docker_bench.run(docker_bench.container(), ("sh", "-c", script))
    assert output.startswith("sh -c cat /proc")  # no shell of ours stands above it


def test_words_of_a_command_are_literal(docker_bench: Bench) -> None:
    words = ["a b", "$(id)", "it's", '"x"', "\\", "-n", "*", "☃", ""]
    argv = ["printf", "[%s]\n", *words]
    _, output = docker_bench.run(docker_bench.container(), argv)
    assert output == "".join(f"[{word}]\n" for word in words)


@pytest.mark.parametrize("name", ["UID", "EUID", "ENV", "_X1"])
def test_variables_that_shells_know_arrive_too(name: str, docker_bench: Bench) -> None:
    _, output = docker_bench.run(
        docker_bench.container(), ("printenv", name), env=[(name, "given")]
    )
    assert output == "given\n"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("nothing-of-that-name",), 127, "nothing-of-that-name: not found"),
        (("/etc/passwd",), 126, "Permission denied"),
        (("/etc",), 126, "Permission denied"),
    ],
)
def test_what_cannot_be_run_says_so(
    argv: tuple[str, ...], code: int, said: str, docker_bench: Bench
) -> None:
    result, output = docker_bench.run(docker_bench.container(), argv)
    assert result.exit_code == code
    assert said in output


@pytest.mark.parametrize("signal", ["TERM", "KILL", "SEGV"])
def test_the_exit_code_of_a_signal_is_kept(signal: str, docker_bench: Bench) -> None:
    numbers = {"TERM": 143, "KILL": 137, "SEGV": 139}
    script = f"perl -e 'kill {signal} => $$; sleep 5'"
    result, _ = docker_bench.run(docker_bench.container(), ("sh", "-c", f"exec {script}"))
    assert result.exit_code == numbers[signal]


def test_a_process_killed_for_memory_is_known(docker_bench: Bench) -> None:
    container = docker_bench.container(memory_bytes=64 << 20)
    result, _ = docker_bench.run(container, ("perl", "-e", "$x = 'x' x 500_000_000"))
    assert result.exit_code == 137
    assert docker_bench.engine.ran_out_of_memory(container)


def test_another_kill_is_no_lack_of_memory(docker_bench: Bench) -> None:
    container = docker_bench.container(memory_bytes=64 << 20)
    result, _ = docker_bench.run(container, ("sh", "-c", "kill -9 $$"))
    assert result.exit_code == 137
    assert not docker_bench.engine.ran_out_of_memory(container)


def test_written_bytes_are_those_of_the_layer(docker_bench: Bench) -> None:
    container = docker_bench.container()
    docker_bench.run(container, ("dd", "if=/dev/zero", "of=/big", "bs=1M", "count=30"))
    [written] = docker_bench.engine.written_bytes(docker_bench.prefix).values()
    assert 30 << 20 <= written < 31 << 20


def test_what_the_first_process_prints_is_bounded(docker_bench: Bench) -> None:
    container = docker_bench.container()
    flood = "(yes 'the first process says a lot' | head -c 60000000; echo end) > /proc/1/fd/1"
    docker_bench.run(container, ("sh", "-c", flood))
    engine = docker_bench.engine
    # The engine writes its log behind the process's back.
    said = wait_until(
        lambda: s if (s := engine.container_output(container)).endswith("end\n") else "",
        60,
        "the end of the flood",
    )
    assert len(said) <= 4000
