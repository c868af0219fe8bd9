"""Builds of two tenants run side by side on one host; they see the world, not each other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from crewship.engine.base import ContainerSpec
from tests.engine.bench import Bench
from tests.engine.real import BASE_IMAGE
from tests.stack.server import wait_until

pytestmark = pytest.mark.engine

PORT = 7000
LISTEN = (
    f"use IO::Socket::INET; $s = IO::Socket::INET->new(LocalPort => {PORT}, Listen => 5) or die; "
    "while ($c = $s->accept) { close $c }"
)


@pytest.fixture
def network(docker_bench: Bench) -> Iterator[str]:
    name = docker_bench.name("builds")
    docker_bench.engine.create_build_network(name)
    docker_bench.engine.create_build_network(name)  # twice is fine
    yield name
    docker_bench.clear()
    docker_bench.engine.remove_network(name)


def started(bench: Bench, word: str, network: str) -> str:
    container = bench.engine.create_container(
        ContainerSpec(bench.name(word), BASE_IMAGE, network=network)
    )
    bench.engine.start_container(container)
    return container


def address_of(container: str) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    done = subprocess.run(
        ["docker", "inspect", "-f", form, container], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def connects(container: str, address: str) -> bool:
    script = f"timeout 2 bash -c '</dev/tcp/{address}/{PORT}'"
    done = subprocess.run(["docker", "exec", container, "sh", "-c", script], capture_output=True)
    return done.returncode == 0


def test_a_build_reaches_no_other_build(docker_bench: Bench, network: str) -> None:
    one, two = (started(docker_bench, word, network) for word in ("one", "two"))
    subprocess.run(["docker", "exec", "-d", one, "perl", "-e", LISTEN], check=True)
    wait_until(lambda: connects(one, address_of(one)), 20, "it listens")
    assert not connects(two, address_of(one))


def test_on_the_engines_own_network_it_would(docker_bench: Bench) -> None:
    one, two = (started(docker_bench, word, "bridge") for word in ("one", "two"))
    subprocess.run(["docker", "exec", "-d", one, "perl", "-e", LISTEN], check=True)
    wait_until(lambda: connects(two, address_of(one)), 20, "it is reached")
