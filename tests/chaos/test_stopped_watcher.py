"""A host's watcher that stands still (SIGSTOP): every place that speaks of health says so within
10 s, and takes it back when the watcher goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.browser.conftest import PASSWORD
from tests.stack.server import Api, Stack, running_stack, wait_until

pytestmark = pytest.mark.chaos
WITHIN_S = 10.0
TIDY_S = 60.0  # not measured: how long a test waits before it gives up
OLGA = """
from crewship.workspaces.models import User
user = User.objects.get(email="olga@example.com")
user.set_password("{password}"); user.is_superuser = user.is_staff = True; user.save()
"""
BANNER = "Nothing can be provisioned now."


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("watcher") / "data", {}, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def own_api(own_stack: Stack) -> Api:
    made = own_stack.bootstrap()
    own_stack.manage("shell", "-v0", "-c", OLGA.format(password=PASSWORD))
    return made


@pytest.fixture(scope="module")
def signed_in(own_stack: Stack, own_api: Api) -> Iterator[httpx.Client]:
    """Olga's browser."""
    with httpx.Client(base_url=own_stack.url, follow_redirects=True, timeout=30) as client:
        page = client.get("/sign-in").text
        [token] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        form = {"email": "olga@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token}
        answer = client.post("/sign-in", data=form, headers={"Referer": own_stack.url})
        assert "/w/acme/" in str(answer.url)
        yield client


@contextmanager
def stopped(stack: Stack) -> Iterator[float]:
    """The moment at which the watcher was stopped; it goes on afterwards."""
    [watcher] = stack.pids("crewship_watcher")
    os.kill(watcher, signal.SIGSTOP)
    try:
        yield time.monotonic()
    finally:
        os.kill(watcher, signal.SIGCONT)


def doctor(stack: Stack) -> dict[str, str]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("crewship")), "doctor", "--json"],
        env=stack.environment,
        capture_output=True,
        text=True,
    )
    checks = json.loads(done.stdout)["checks"]
    return {"exit code": str(done.returncode)} | {c["name"]: c["result"] for c in checks}


def codes(client: httpx.Client) -> list[str]:
    return [concern["code"] for concern in client.get("/readyz").json()["concerns"]]


def test_every_place_says_it_within_10_s(
    own_stack: Stack, own_api: Api, signed_in: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    host = own_stack.environment["CREWSHIP_HOST"]

    def provisions() -> bool:
        return bool(httpx.get(f"{own_stack.url}/readyz").json()["provisioning"])

    wait_until(provisions, TIDY_S, "the worker lives")
    places: dict[str, Callable[[], bool]] = {
        "/readyz": lambda: not provisions(),
        "/readyz, signed in": lambda: "docker_host_lost" in codes(signed_in),
        "dashboard": lambda: BANNER in signed_in.get("/w/acme/").text,
        "admin, Health": lambda: "does not answer" in signed_in.get("/admin/health/").text,
        "admin, first page": lambda: "does not answer" in signed_in.get("/admin/").text,
        "crewship doctor": lambda: doctor(own_stack).get(f"host {host}") == "broken",
    }
    assert not any(says() for says in places.values())
    asked: dict[str, float] = {}
    told: dict[str, float] = {}
    with stopped(own_stack) as began:

        def first_time(name: str) -> None:
            """When the first look that saw it began, and when it ended: doctor's takes seconds,
            since it also waits for registries."""
            while name not in told and time.monotonic() - began < TIDY_S:
                asked[name] = time.monotonic() - began
                if places[name]():
                    told[name] = time.monotonic() - began

        with ThreadPoolExecutor(len(places)) as pool:
            list(pool.map(first_time, places))
        assert httpx.get(f"{own_stack.url}/readyz").status_code == 200
    assert told.keys() == places.keys()
    with capsys.disabled():
        for name in places:
            times = f"asked after {asked[name]:.1f} s says it after {told[name]:.1f} s"
            sys.stdout.write(f"\nstopped watcher: {name}, {times}")
    assert max(asked.values()) <= WITHIN_S
    wait_until(provisions, TIDY_S, "it goes on")
    assert BANNER not in signed_in.get("/w/acme/").text


def test_an_open_page_is_told_by_its_event_stream(
    own_stack: Stack, own_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"Authorization": f"Bearer {own_api.token}", "Accept": "text/event-stream"}
    url = f"{own_stack.url}/api/v1/events"
    own_api.crew("seen-first")
    with httpx.stream("GET", url, headers=headers, timeout=TIDY_S) as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line == "event: crew")
        with stopped(own_stack) as began:
            next(line for line in lines if line == "event: health")
            took = time.monotonic() - began
            assert json.loads(next(lines).removeprefix("data: ")) == {"provisioning": False}
        next(line for line in lines if line == "event: health")
        assert json.loads(next(lines).removeprefix("data: ")) == {"provisioning": True}
    with capsys.disabled():
        sys.stdout.write(f"\nstopped watcher: the event stream says it after {took:.1f} s")
    assert took <= WITHIN_S
