"""Lifecycle commands: their order, whose they are, and how the object form runs."""

from __future__ import annotations

from typing import Any

import pytest

from crewship.engine.fake import FakeExec, FakeRun
from provisioning.pipeline.snapshot import VERIFY_SCRIPT
from tests.provisioning.pipeline.kit import Kit, features

ALL = {
    "postCreateCommand": "echo config-post",
    "updateContentCommand": "echo config-update",
    "onCreateCommand": "echo config-on",
    "postStartCommand": "echo never-here",
}


@pytest.fixture
def ran(kit: Kit) -> list[FakeExec]:
    """The processes that ran as the agent, without the pipeline's own."""
    calls: list[FakeExec] = []

    def note(call: FakeExec) -> None:
        if call.user == "1001" and call.argv[-1] != VERIFY_SCRIPT and call.argv[0] != "mise":
            calls.append(call)

    kit.engine.on_exec(note)
    return calls


def test_they_run_in_order_features_own_first(kit: Kit, ran: list[FakeExec]) -> None:
    for name in ("one", "two"):
        kit.features.publish(
            f"{name}:1",
            onCreateCommand=f"echo {name}-on",
            postCreateCommand=f"echo {name}-post",
            postStartCommand="echo never-here",
        )
    order = [f"ghcr.io/devcontainers/features/{name}" for name in ("one", "two")]
    kit.build({**ALL, "features": features(one={}, two={}), "overrideFeatureInstallOrder": order})
    assert [call.argv[-1].removeprefix("echo ") for call in ran] == [
        "one-on",
        "two-on",
        "config-on",
        "config-update",
        "one-post",
        "two-post",
        "config-post",
    ]


def test_the_message_says_what_runs(kit: Kit) -> None:
    kit.build(ALL)
    running = [m for m in kit.emit.messages if m.startswith("running")]
    assert running == [
        "running onCreateCommand",
        "running updateContentCommand",
        "running postCreateCommand",
    ]


def test_a_string_goes_to_a_shell_and_an_array_does_not(kit: Kit, ran: list[FakeExec]) -> None:
    kit.build({"onCreateCommand": "a && b", "postCreateCommand": ["printf", "%s", "$HOME; x"]})
    assert [call.argv for call in ran] == [
        ("/bin/sh", "-c", "a && b"),
        ("printf", "%s", "$HOME; x"),
    ]


def test_they_run_as_the_agent_with_the_images_environment(kit: Kit, ran: list[FakeExec]) -> None:
    kit.build({"postCreateCommand": "x", "containerEnv": {"A": "b"}, "remoteEnv": {"R": "no"}})
    (call,) = ran
    assert call.user == "1001"
    assert call.env["A"] == "b"
    assert "R" not in call.env


def test_lines_of_named_entries_carry_their_name(kit: Kit) -> None:
    def speak(call: FakeExec) -> FakeRun | None:
        return FakeRun(f"{call.argv[-1]} says\nmore\n") if call.argv[0] == "say" else None

    kit.engine.on_exec(speak)
    kit.build({"postCreateCommand": {"web": ["say", "w"], "db": ["say", "d"]}})
    assert sorted(kit.emit.lines) == ["[db] d says", "[db] more", "[web] more", "[web] w says"]


def test_named_entries_run_side_by_side(kit: Kit) -> None:
    """Each waits until the other has begun."""
    from threading import Barrier

    both = Barrier(2, timeout=5)

    def meet(call: FakeExec) -> FakeRun | None:
        if call.argv[0] == "meet":
            both.wait()
        return None

    kit.engine.on_exec(meet)
    kit.build({"postCreateCommand": {"a": ["meet", "a"], "b": ["meet", "b"]}})


def test_all_named_entries_are_awaited_and_the_first_failure_of_the_text_is_said(
    kit: Kit, ran: list[FakeExec]
) -> None:
    def end(call: FakeExec) -> FakeRun | None:
        codes: dict[str, Any] = {"a": 0, "b": 4, "c": 5}
        return FakeRun(exit_code=codes[call.argv[1]]) if call.argv[0] == "end" else None

    kit.engine.on_exec(end)
    with pytest.raises(Exception, match=r"postCreateCommand \(b\) failed with exit code 4"):
        kit.build({"postCreateCommand": {n: ["end", n] for n in ("a", "b", "c")}})
    assert kit.engine.container_names("") == []


def test_a_failed_hook_names_itself_and_its_owner(kit: Kit) -> None:
    kit.features.publish("one:1", postCreateCommand="broken")
    kit.engine.on_exec(lambda call: FakeRun("oops\n", 7) if call.argv[-1] == "broken" else None)
    with pytest.raises(Exception, match=r"postCreateCommand of one:1 failed with exit code 7"):
        kit.build({"features": features(one={})})


def test_a_failed_hook_ends_the_build_before_the_next(kit: Kit, ran: list[FakeExec]) -> None:
    kit.engine.on_exec(lambda call: FakeRun("", 1) if "config-on" in call.argv[-1] else None)
    with pytest.raises(Exception, match="onCreateCommand"):
        kit.build(ALL)
    assert not any("config-update" in call.argv[-1] for call in ran)


def test_hooks_run_in_every_build(kit: Kit, ran: list[FakeExec]) -> None:
    """What they do cannot be known from their text."""
    kit.build({"postCreateCommand": "x"})
    kit.build({"postCreateCommand": "x"})
    assert len(ran) == 2
