"""The text that an agent's first process reads, run by this machine's own shells."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from crewship.devcontainer.types import Hook, HookCommand, HookName
from provisioning.agents.agent_script import READ_SCRIPT, agent_script
from tests.stack.hostile import WITH_VARIABLES

SHELLS = ["/bin/sh", "/bin/bash --posix"]


def run(script: str, shell: str = "/bin/sh") -> str:
    """What the script printed, read as an agent's first process reads it."""
    argv = [*shell.split(), *READ_SCRIPT[1:]]
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        argv, input=script.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
    )
    return done.stdout.decode()


def hook(*entries: HookCommand) -> Hook:
    return Hook(HookName.POST_START, entries)


@pytest.mark.parametrize("shell", SHELLS)
def test_values_are_literal(shell: str) -> None:
    env = {f"V{n}": value for n, value in enumerate(WITH_VARIABLES)}
    said = run(agent_script(env, (), (), "env -0"), shell)
    seen = dict(entry.partition("=")[::2] for entry in said.split("\0"))
    assert {name: seen.get(name) for name in env} == env


@pytest.mark.parametrize("shell", SHELLS)
def test_a_name_that_the_shell_keeps_does_not_stop_the_rest(shell: str) -> None:
    said = run(agent_script({"UID": "5", "OTHER": "seen"}, (), (), 'echo "$OTHER"'), shell)
    assert said.endswith("seen\n")


def test_entrypoints_then_hooks_then_the_command() -> None:
    hooks = [("postStartCommand", hook(HookCommand("", "echo hook")))]
    said = run(agent_script({}, ["echo first", "echo second"], hooks, "echo command"))
    assert said.splitlines() == [
        "first",
        "second",
        "crewship: running postStartCommand",
        "hook",
        "command",
    ]


def test_what_fails_on_the_way_is_said_and_the_command_runs() -> None:
    failing = hook(HookCommand("a", "exit 3"), HookCommand("b", argv=("false", "x y")))
    said = run(agent_script({}, ["exit 9"], [("postStartCommand", failing)], "echo command"))
    assert said.splitlines() == [
        "crewship: warning: the entrypoint exit 9 ended with exit code 9",
        "crewship: running postStartCommand",
        "crewship: warning: postStartCommand (a) ended with exit code 3",
        "crewship: warning: postStartCommand (b) ended with exit code 1",
        "command",
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_both_streams_of_an_agent_are_one(shell: str) -> None:
    hooks = [("hook", hook(HookCommand("", "echo error >&2; echo output")))]
    script = agent_script({}, ["echo early >&2"], hooks, "echo last >&2")
    argv = [*shell.split(), *READ_SCRIPT[1:]]
    done = subprocess.run(argv, input=script, capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert said == ["early", "crewship: running hook", "error", "output", "last"]
    assert done.stderr == ""


def test_an_array_is_a_program_and_never_a_builtin() -> None:
    hooks = [("hook", hook(HookCommand("", argv=("exit", "0"))))]
    said = run(agent_script({}, (), hooks, "echo command"))
    assert "warning: hook ended with exit code 127" in said
    assert said.endswith("command\n")


def test_entries_run_side_by_side() -> None:
    """Each waits for the other one: one after another they would never end."""
    hooks = [
        (
            "hook",
            hook(
                HookCommand("reads", "read line < pipe; echo got $line"),
                HookCommand("writes", "echo word > pipe"),
            ),
        )
    ]
    script = agent_script({}, ["mkfifo pipe"], hooks, "rm pipe; echo end")
    with_directory = script.replace("{\n", '{\ncd "$(mktemp -d)"\n', 1)
    assert run(with_directory).splitlines() == ["crewship: running hook", "got word", "end"]


def test_a_text_that_was_cut_off_runs_nothing() -> None:
    script = agent_script({"A": "1"}, ["echo entrypoint"], (), "echo command")
    for end in range(0, len(script) - 2, 7):
        assert "entrypoint\n" not in run(script[:end]), script[:end]


def test_nothing_reads_the_rest_of_the_text() -> None:
    hooks = [("hook", hook(HookCommand("", "cat")))]
    said = run(agent_script({}, ["cat"], hooks, "cat; echo end"))
    assert said.splitlines() == ["crewship: running hook", "end"]


def test_without_a_command_it_stays_open() -> None:
    timeout = shutil.which("timeout")
    assert timeout
    script = agent_script({}, (), (), "")
    done = subprocess.run([timeout, "0.3", *READ_SCRIPT], input=script, text=True)
    assert done.returncode == 124
