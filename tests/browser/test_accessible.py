"""axe-core on every page in its states and both themes; 320 px wide; nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PASSWORD, Visit, Visitor
from tests.browser.gallery import running_gallery

pytestmark = pytest.mark.browser

# name -> path; olga sees them all
PAGES = {
    "overview": "/w/acme/",
    "overview-empty": "/w/empty/",
    "overview-200": "/w/many/",
    "overview-none-found": "/w/acme/?q=nothing",
    "crew-ready": "/w/acme/crews/api-backend/",
    "crew-running": "/w/acme/crews/web-frontend/",
    "crew-failed": "/w/acme/crews/ml-training/",
    "crew-waiting": "/w/acme/crews/data-pipeline/",
    "crew-unbuilt": "/w/acme/crews/mobile/",
    "crew-no-config": "/w/acme/crews/scratchpad/",
    "agent": "/w/acme/crews/api-backend/agents/coder",
    "images": "/w/acme/images",
    "images-100": "/w/many/images",
    "members": "/w/acme/members",
    "members-200": "/w/many/members",
    "audit": "/w/acme/audit",
    "audit-none": "/w/empty/audit?kind=crew",
    "tokens": "/w/acme/tokens",
    "tokens-none": "/w/empty/tokens",
    "crew-new": "/w/acme/crews/new",
    "crew-edit": "/w/acme/crews/api-backend/edit",
    "password": "/password",
    "not-found": "/w/nowhere/",
}
DIALOGS = {
    "/w/acme/crews/api-backend/": ("Rebuild", "Restart agents", "Add agent"),
    "/w/acme/crews/web-frontend/": ("Cancel",),
    "/w/acme/images": ("Delete crewship-cache",),
    "/w/acme/members": ("Remove vera@example.com",),
    "/w/acme/tokens": ("Revoke laptop",),
}
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_gallery(tmp_path_factory.mktemp("gallery") / "data", PASSWORD) as url:
        yield url


@pytest.fixture
def stroll(browser: Browser, gallery: str) -> Iterator[Visit]:
    with ExitStack() as closing:
        visiting = Visit(browser, gallery, closing)
        visiting.expected = lambda problem: "404 (Not Found)" in problem  # a page of the list
        yield visiting
        assert visiting.problems() == []


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['html'][:160]}"
        for item in found
        if item["impact"] in SERIOUS
        for node in item["nodes"][:3]
    ]


def look_at_all(visitor: Visitor) -> dict[str, list[str]]:
    problems = {}
    for name, path in PAGES.items():
        page = visitor.open(path)
        page.wait_for_load_state("load")
        if found := violations(page):
            problems[name] = found
    return problems


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_problem(stroll: Visit, theme: str):
    assert look_at_all(stroll("olga", color_scheme=theme)) == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_dialog_has_a_serious_problem(stroll: Visit, theme: str):
    visitor = stroll("olga", color_scheme=theme)
    problems = {}
    for path, buttons in DIALOGS.items():
        for button in buttons:
            page = visitor.open(path)
            page.get_by_role("button", name=button).first.click()
            page.get_by_role("dialog").wait_for()
            if found := violations(page):
                problems[f"{path} {button}"] = found
    assert problems == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_signing_in_has_no_serious_problem(stroll: Visit, theme: str):
    visitor = stroll(color_scheme=theme)
    page = visitor.open("/sign-in")
    assert violations(page) == []
    page.get_by_label("Email").fill("olga@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    assert violations(page) == []


def test_the_workspace_is_switched_in_the_header(stroll: Visit):
    page = stroll("olga").open("/w/acme/")
    page.locator("summary", has_text="Acme").click()
    page.get_by_role("link", name="Two Hundred").click()
    page.get_by_role("link", name="Crew 000").wait_for()
    assert page.url.endswith("/w/many/")


def test_a_choice_of_theme_outweighs_the_systems(stroll: Visit):
    page = stroll("olga", color_scheme="light").open("/w/acme/")
    page.get_by_label("Account of olga@example.com").click()
    page.get_by_role("button", name="Dark").click()
    page.locator("html[data-theme=dark]").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 15, 19)"


def test_menus_have_no_serious_problem(stroll: Visit):
    page = stroll("olga").open("/w/acme/")
    page.locator("summary", has_text="Acme").click()
    assert violations(page) == []
    page.get_by_label("Account of olga@example.com").click()
    assert violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_scrolls_sideways_at_320_pixels(stroll: Visit, theme: str):
    visitor = stroll("olga", viewport={"width": 320, "height": 640}, color_scheme=theme)
    wide = {}
    for name, path in PAGES.items():
        page = visitor.open(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 320:
            wide[name] = width
    assert wide == {}


def test_every_control_has_a_name_and_the_focus_is_seen(stroll: Visit):
    page = stroll("olga").open("/w/acme/crews/api-backend/")
    unseen = []
    for _ in range(45):
        page.keyboard.press("Tab")
        name, style = page.evaluate(
            "(() => { const e = document.activeElement;"
            " return [e.outerHTML.slice(0, 120), getComputedStyle(e).outlineStyle]; })()"
        )
        if style == "none" and not name.startswith("<body"):
            unseen.append(name)
    assert unseen == []
