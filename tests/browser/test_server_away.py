"""The server or the proxy before it fails: nothing is lost, and the page says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Dialog, Page, Request, expect

from tests.browser.conftest import PASSWORD, Visit
from tests.browser.gallery import running_gallery
from tests.browser.weather import Proxy

pytestmark = pytest.mark.browser
NOT_DONE = "The server does not answer; nothing was done"
LOST = "Connection lost, trying again"
SOON_MS = 20_000
EXPECTED = (
    "net::ERR_",
    "Response Status Error",
    "Failed to load resource",
    "htmx:",
    "EventSource",
    "Failed to fetch",
)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_gallery(tmp_path_factory.mktemp("away") / "data", PASSWORD) as url:
        yield url


@pytest.fixture
def proxy(gallery: str) -> Iterator[Proxy]:
    made = Proxy(gallery)
    yield made
    made.goes_away()


@pytest.fixture
def visit(browser: Browser, proxy: Proxy) -> Iterator[Visit]:
    """A console without errors but for those of the network."""
    with ExitStack() as closing:
        visiting = Visit(browser, proxy.url, closing)
        visiting.expected = lambda problem: any(word in problem for word in EXPECTED)
        yield visiting
        assert visiting.problems() == []


def fails(proxy: Proxy, how: str) -> None:
    if how == "stopped":
        proxy.goes_away()
    else:
        proxy.answers(int(how))


def is_whole(page: Page) -> None:
    expect(page.locator("main h1")).to_be_visible()
    expect(page.get_by_text("nginx")).to_have_count(0)


@pytest.mark.parametrize("how", ["stopped", "502", "500", "504", "200"])
def test_a_click_is_said_not_to_have_happened(visit: Visit, proxy: Proxy, how: str):
    page = visit("olga").open("/w/acme/crews/mobile/")
    button = page.get_by_role("button", name="Provision")
    expect(button).to_be_visible()
    before = page.locator("#crew-head").inner_text()
    fails(proxy, how)
    button.click()
    words = {"504": "did not answer in time", "200": "nothing on the page was changed"}
    expect(page.get_by_role("alert")).to_contain_text(words.get(how, NOT_DONE))
    is_whole(page)
    assert page.locator("#crew-head").inner_text() == before
    expect(button).to_be_enabled()


@pytest.mark.parametrize("how", ["stopped", "502"])
def test_a_form_keeps_its_text_and_can_be_sent_later(visit: Visit, proxy: Proxy, how: str):
    page = visit("olga").open("/w/acme/tokens")
    page.get_by_label("Name").fill(f"kept-{how}")
    fails(proxy, how)
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_role("alert")).to_contain_text(NOT_DONE)
    is_whole(page)
    expect(page.get_by_label("Name")).to_have_value(f"kept-{how}")
    proxy.serves()
    expect(page.locator("#connection")).to_be_empty(timeout=SOON_MS)
    page.get_by_role("button", name="Make token").click()
    expect(page.locator("main")).to_contain_text(f"kept-{how}")
    expect(page.get_by_text(NOT_DONE)).to_have_count(0)


@pytest.mark.parametrize("how", ["stopped", "502", "200"])
def test_a_form_that_leads_to_a_page_does_not_leave_this_one(visit: Visit, proxy: Proxy, how: str):
    page = visit("olga").open("/w/acme/crews/api-backend/edit")
    name = page.get_by_label("Name", exact=True)
    name.fill("Kept")
    fails(proxy, how)
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator(".flash.not-done")).to_contain_text(NOT_DONE)
    expect(name).to_have_value("Kept")
    is_whole(page)
    # What is unsaved is still asked for before it is left.
    dialogs: list[str] = []

    def stays(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stays)
    page.close(run_before_unload=True)
    page.wait_for_timeout(500)
    assert dialogs == ["beforeunload"]


def test_a_dialog_says_it_inside_itself(visit: Visit, proxy: Proxy):
    page = visit("olga").open("/w/acme/crews/api-backend/")
    page.get_by_role("button", name="Add agent").first.click()
    dialog = page.locator("#ask-agent")
    dialog.get_by_label("Name").fill("tester")
    dialog.get_by_label("Command").fill("sleep 1")
    proxy.answers(502)
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert")).to_contain_text(NOT_DONE)
    expect(dialog.get_by_label("Name")).to_have_value("tester")


@pytest.mark.parametrize("how", ["stopped", "502", "404"])
def test_a_lost_connection_is_a_strip_until_it_is_back(visit: Visit, proxy: Proxy, how: str):
    page = visit("olga").open("/w/acme/")
    expect(page.locator("tr[data-crew]").first).to_be_visible()
    rows = page.locator("tr[data-crew]").count()
    strip = page.locator("#connection")
    expect(strip).to_be_empty()
    fails(proxy, how)
    expect(strip).to_contain_text(LOST, timeout=SOON_MS)
    page.get_by_role("link", name="Images").first.click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    assert page.locator("tr[data-crew]").count() == rows
    expect(page.get_by_text("You have no access")).to_have_count(0)
    proxy.serves()
    expect(strip).to_be_empty(timeout=SOON_MS)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("link", name="Images").first.click()
    page.wait_for_url("**/images")


def test_a_button_that_is_pressed_twice_sends_once(visit: Visit, proxy: Proxy):
    page = visit("olga").open("/w/acme/")
    posts: list[str] = []

    def sent(request: Request) -> None:
        if request.method == "POST":
            posts.append(request.url)

    page.on("request", sent)
    page.get_by_label("Account of").click()
    page.get_by_role("button", name="Dark").dblclick()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert len(posts) == 1


def test_a_failure_of_ours_is_said_and_takes_no_text(visit: Visit, proxy: Proxy):
    page = visit("olga").open("/w/acme/tokens")
    page.get_by_label("Name").fill("kept")
    proxy.answers(503, b"<main id=main><h1>Not now</h1><p>The database is away.</p></main>")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_role("alert")).to_contain_text("Not now The database is away.")
    expect(page.get_by_label("Name")).to_have_value("kept")
