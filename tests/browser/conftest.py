"""Chromium, and the people of the tests signed in to a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.stack.features import pack_test_features
from tests.stack.server import Api, Stack, running_stack

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PASSWORD = "a-password-of-tests"
PEOPLE = {"olga": "OWNER", "mona": "MANAGER", "vera": "VIEWER"}
NEW_PEOPLE = """
from crewship.workspaces.models import *
workspace = Workspace.objects.get(slug="acme")
for name, role in {people}.items():
    user, made = User.objects.get_or_create(email=f"{{name}}@example.com")
    user.set_password("{password}"); user.save()
    Membership.objects.get_or_create(workspace=workspace, user=user, defaults={{"role": role}})
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("browser")
    layout = pack_test_features(folder)
    settings = {"CREWSHIP_FEATURE_LAYOUTS": f"ghcr.io/crewship-ai/features={layout}"}
    with running_stack(folder / "data", settings) as running:
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Api:
    made = stack.bootstrap()
    stack.manage("shell", "-v0", "-c", NEW_PEOPLE.format(people=PEOPLE, password=PASSWORD))
    return made


class Visitor:
    """One person's browser window: remembers everything that went wrong in it."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.problems: list[str] = []
        self.page = context.new_page()
        self.watch(self.page)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if "net::ERR_NETWORK_CHANGED" in message.text:
            return  # Docker made or removed an interface of this machine; nothing of ours
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type}: {message.text} {message.location}")

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, name: str) -> Visitor:
        self.open("/sign-in")
        self.page.get_by_label("Email").fill(f"{name}@example.com")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/w/**")
        return self


class Visit:
    """``visit("mona", color_scheme="dark")``: a new browser with Mona signed in."""

    def __init__(self, browser: Browser, url: str, closing: ExitStack) -> None:
        self._browser, self._url, self._closing = browser, url, closing
        self.visitors: list[Visitor] = []
        self.expected: Callable[[str], bool] = lambda problem: False

    def __call__(self, name: str = "", **options: Any) -> Visitor:  # Any: Playwright's
        context = self._browser.new_context(**options)
        self._closing.callback(context.close)
        visitor = Visitor(context, self._url)
        self.visitors.append(visitor)
        return visitor.sign_in(name) if name else visitor

    def problems(self) -> list[str]:
        said = [problem for visitor in self.visitors for problem in visitor.problems]
        return [problem for problem in said if not self.expected(problem)]


@pytest.fixture
def visit(browser: Browser, stack: Stack, api: Api) -> Iterator[Visit]:
    """No test leaves an error or a warning (a CSP violation is one) in a browser's console."""
    with ExitStack() as closing:
        visiting = Visit(browser, stack.url, closing)
        yield visiting
        assert visiting.problems() == []


def crew_path(slug: str) -> str:
    return f"/w/acme/crews/{slug}/"


def config(*features: str, **options: Any) -> dict[str, Any]:  # Any: JSON
    from tests.stack.features import ref

    return {
        "image": "debian:bookworm-slim",
        "features": {ref(name): options for name in features},
    }


def as_json(value: object) -> str:
    return json.dumps(value)


SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "docs" / "screenshots"
