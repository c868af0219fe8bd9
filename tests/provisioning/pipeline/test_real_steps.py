"""Steps in real containers: the order of their output, what their failures mean, their limits."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from crewship.devcontainer.config import read_crew
from crewship.domain.errors import BuildStepFailed, CrewshipError
from crewship.engine.docker import DockerEngine
from provisioning.pipeline import host_room
from provisioning.pipeline.context import BuildRequest, Context
from provisioning.pipeline.scratch import Scratch, scratch_container
from tests.engine.real import BASE_IMAGE, require_engine
from tests.provisioning.pipeline.kit import Kit

pytestmark = pytest.mark.engine

ALTERNATING = """\
i=0
while [ $i -lt 3000 ]; do
    i=$((i + 1))
    if [ $((i % 2)) = 0 ]; then echo "line $i" >&2; else echo "line $i"; fi
done
exit 3
"""
BROKEN_SOURCE = """\
rm -rf /etc/apt/sources.list*
echo 'deb http://127.0.0.1:1/debian bookworm main' > /etc/apt/sources.list
apt-get -o Acquire::Retries=0 update
apt-get install -y jq
"""


@dataclass
class Steps:
    """Each ``run`` is a step of a build, in a container of its own."""

    kit: Kit
    engine: DockerEngine

    def run(self, script: str) -> None:
        tools = self.kit.tools()
        request = BuildRequest(
            job_id=f"job_{uuid.uuid4().hex}",
            fence=1,
            spec=read_crew('{"image": "debian"}', None, None, self.kit.options.policy, None),
            config_hash="0" * 64,
            tag="",
        )
        context = Context(request, host=self.engine.info())
        with scratch_container(context, tools, BASE_IMAGE, "test") as scratch:
            self._script(scratch, script)
            scratch.guard.check_layer()

    def _script(self, scratch: Scratch, script: str) -> None:
        scratch.run("The step", ["/bin/sh", "-c", script])

    def failure(self, script: str) -> CrewshipError:
        with pytest.raises(CrewshipError) as caught:
            self.run(script)
        return caught.value


@pytest.fixture
def steps(kit: Kit) -> Iterator[Steps]:
    engine = require_engine()
    kit.engine = engine  # type: ignore[assignment]
    yield Steps(kit, engine)
    engine.close()


def test_the_log_has_both_streams_in_the_order_written(steps: Steps) -> None:
    error = steps.failure(ALTERNATING)
    assert steps.kit.emit.lines == [f"line {n}" for n in range(1, 3001)]
    last = "\n".join(f"line {n}" for n in range(2991, 3001))
    assert error.message == f"The step failed with exit code 3:\n{last}"


def test_the_error_of_a_failing_apt_is_its_last_line(steps: Steps) -> None:
    error = steps.failure("seq 1 3000; apt-get install -y no-such-package")
    assert error.message.endswith("E: Unable to locate package no-such-package")
    assert steps.kit.emit.lines[-1] == "E: Unable to locate package no-such-package"


def test_a_broken_source_is_named(steps: Steps) -> None:
    error = steps.failure(BROKEN_SOURCE)
    assert error.error_code == "apt_source_broken"
    assert error.extra["source"].startswith("http://127.0.0.1:1/debian")


def test_a_step_that_needs_too_much_memory_is_oom(steps: Steps) -> None:
    steps.kit.set_options(memory_bytes=64 << 20)
    error = steps.failure("perl -e '$x = \"x\" x 500_000_000'")
    assert error.error_code == "oom"


def test_a_child_that_needs_too_much_memory_is_oom(steps: Steps) -> None:
    steps.kit.set_options(memory_bytes=64 << 20)
    script = "perl -e '$x = \"x\" x 500_000_000'; echo it ended with $?; exit 2"
    error = steps.failure(script)
    assert isinstance(error, BuildStepFailed)
    assert (error.error_code, error.extra["exit_code"]) == ("oom", 2)


def test_a_step_that_kills_itself_is_killed(steps: Steps) -> None:
    assert steps.failure("kill -9 $$").error_code == "killed"


def test_a_script_with_windows_line_ends_is_told(steps: Steps) -> None:
    error = steps.failure(r"printf 'true\r\n\r\n' > /x; sh /x")
    assert error.error_code == "windows_line_ends"
    error = steps.failure(r"printf '#!/usr/bin/env bash\r\ntrue\r\n' > /x; chmod +x /x; /x")
    assert error.error_code == "windows_line_ends"


def test_a_layer_that_grows_too_big_is_stopped(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_room, "MEASURE_S", 0.1)
    steps.kit.set_options(max_layer_bytes=50_000_000)
    error = steps.failure("head -c 60000000 /dev/zero > /big; sleep 600")
    assert error.error_code == "layer_too_big"


def test_a_layer_that_is_too_big_is_not_committed(steps: Steps) -> None:
    steps.kit.set_options(max_layer_bytes=50_000_000)
    assert steps.failure("head -c 60000000 /dev/zero > /big").error_code == "layer_too_big"
