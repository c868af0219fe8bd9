"""What people do in the dashboard, from the click to the image."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, config, crew_path
from tests.stack.server import Api

pytestmark = pytest.mark.browser
BUILD_MS = 90_000


def state_of(page: Page) -> str:
    return page.locator("#crew-head .pill").first.inner_text()


def test_a_viewer_can_only_look(visit: Visit, api: Api):
    api.crew("looked-at", config("note"))
    page = visit("vera").open("/w/acme/")
    expect(page.get_by_role("link", name="looked-at").first).to_be_visible()
    expect(page.get_by_text("New crew")).to_have_count(0)
    page.get_by_role("link", name="looked-at").first.click()
    expect(page.get_by_role("heading", name="looked-at")).to_be_visible()
    for verb in ("Provision", "Rebuild", "Edit", "Add agent"):
        expect(page.get_by_role("button", name=verb)).to_have_count(0)
    expect(page.get_by_role("link", name="Members")).to_have_count(0)


def test_a_manager_provisions_and_watches_it_finish(visit: Visit, api: Api):
    api.crew("watched", config("slow", count="3"))
    page = visit("mona").open(crew_path("watched"))
    page.get_by_role("button", name="Provision").click()
    expect(page.locator("#crew-head")).to_contain_text("Building", timeout=20_000)
    expect(page.locator("#log")).to_contain_text("second 1", timeout=BUILD_MS)
    expect(page.locator("#badge")).to_contain_text("building", ignore_case=True)
    expect(page.locator("#crew-head")).to_contain_text("Ready", timeout=BUILD_MS)
    expect(page.locator(".step.done")).to_have_count(6)
    expect(page.locator("#crew-side")).to_contain_text("crewship-cache:")
    expect(page.locator("#log")).to_contain_text("second 3")
    expect(page.locator("#crew-more")).to_contain_text("first build")
    assert page.title().startswith("✓ watched")


def test_a_failed_build_shows_its_reason(visit: Visit, api: Api):
    api.crew("broken", config("fail", code="7"))
    mona = visit("mona")
    page = mona.open(crew_path("broken"))
    page.get_by_role("button", name="Provision").click()
    reason = page.get_by_role("alert").filter(has_text="The build failed")
    expect(reason).to_contain_text("exit code 7", timeout=BUILD_MS)
    expect(reason).to_contain_text("the last words")
    expect(page.locator(".step.failed")).to_contain_text("install-features")
    expect(page.locator("#badge")).to_contain_text("failed")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    mona.open("/w/acme/?show=failed")
    expect(page.locator("tr", has_text="broken")).to_contain_text("exit code 7")


def test_two_browsers_see_the_same_progress_within_a_second(visit: Visit, api: Api):
    crew = api.crew("together", config("slow", count="8"))
    pages = [visit("mona").open(crew_path("together")), visit("vera").open("/w/acme/")]
    api.provision(crew)
    row = pages[1].locator("tr", has_text="together")
    expect(pages[0].locator("#crew-head")).to_contain_text("Building, step 3", timeout=BUILD_MS)
    began = time.monotonic()
    expect(row).to_contain_text("Building, step 3", timeout=1000)
    other = visit("olga").open(crew_path("together"))
    for _ in range(3):
        shown = pages[0].locator("#log .out").last.inner_text().strip().split("\n")[-1]
        expect(other.locator("#log")).to_contain_text(shown, timeout=1000)
        pages[0].wait_for_timeout(700)
    assert time.monotonic() - began < 30
    expect(pages[0].locator("#crew-head")).to_contain_text("Ready", timeout=BUILD_MS)
    expect(row).to_contain_text("Ready", timeout=1000)


def test_without_streams_the_pages_ask_again_and_again(visit: Visit, api: Api):
    visit.expected = lambda problem: "net::ERR_FAILED" in problem
    crew = api.crew("polled", config("slow", count="6"))
    mona = visit("mona")
    mona.context.route("**/events?workspace_id=*", lambda route: route.abort())
    api.provision(crew)
    page = mona.open(crew_path("polled"))
    expect(page.locator("#log")).to_contain_text("second 2", timeout=BUILD_MS)
    expect(page.locator("#crew-head")).to_contain_text("Ready", timeout=BUILD_MS)
    shown = page.locator("#log").inner_text()
    assert [shown.count(f"second {n}\n") for n in range(1, 6)] == [1] * 5


def test_cancelling_asks_first(visit: Visit, api: Api):
    crew = api.crew("stopped", config("slow", count="60"))
    api.provision(crew)
    page = visit("mona").open(crew_path("stopped"))
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel the build?")
    dialog.get_by_role("button", name="Go on building").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel the build").click()
    expect(page.get_by_text("The build is cancelled.")).to_be_visible()
    expect(page.locator("#crew-side")).to_contain_text("Cancelled")


def test_someone_is_invited_and_joins(visit: Visit, api: Api):
    page = visit("olga").open("/w/acme/members")
    page.get_by_label("Email").fill("nina@example.com")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#link").inner_text()
    nina = visit()
    nina.page.goto(link)
    nina.page.get_by_label("Name").fill("Nina")
    nina.page.get_by_label("Password").fill("nina-has-a-password")
    nina.page.get_by_role("button", name="Make my account").click()
    expect(nina.page.get_by_text("Welcome to")).to_be_visible()
    page.reload()
    expect(page.get_by_role("row", name="nina@example.com")).to_contain_text("Nina")


def test_a_token_made_in_the_browser_works(visit: Visit, api: Api):
    page = visit("vera").open("/w/acme/tokens")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make token").click()
    secret = page.locator("#secret").inner_text()
    answer = api.http.get("/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json()["email"] == "vera@example.com"
    page.get_by_role("button", name="Revoke laptop").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
    answer = api.http.get("/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401


def test_a_story_by_keyboard_alone(visit: Visit, api: Api):
    api.crew("keys", config("note"))
    page = visit("mona").open(crew_path("keys"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    focus(page, "Provision")
    page.keyboard.press("Enter")
    expect(page.locator("#crew-head")).to_contain_text("Ready", timeout=BUILD_MS)
    page.locator("#main").focus()
    focus(page, "Rebuild")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Rebuild from nothing?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Rebuild")).to_be_focused()


def focus(page: Page, text: str) -> None:
    """Tabs on until the focus, which must be seen, is on that text."""
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "[document.activeElement.textContent.trim(),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        if here[0] == text:
            assert here[1] != "none", f"the focus on {text} is not seen"
            return
    raise AssertionError(f"{text} is not reached by Tab")


def test_it_can_be_read_and_used_without_javascript(visit: Visit, api: Api):
    crew = api.crew("plain", config("note", text="plain"))
    mona = visit("mona", java_script_enabled=False)
    page = mona.open(crew_path("plain"))
    page.get_by_role("button", name="Provision").click()
    api.wait(crew)
    page.reload()
    expect(page.locator("#crew-head")).to_contain_text("Ready")
    expect(page.locator("#log")).to_contain_text("noted")
