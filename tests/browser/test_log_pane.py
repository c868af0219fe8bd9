"""The log pane: nothing lost, nothing twice, nothing executed."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, config, crew_path
from tests.stack.server import Api, Stack, wait_until

pytestmark = pytest.mark.browser
BUILD_MS = 90_000


def numbers(page: Page) -> list[int]:
    text = page.locator("#log").evaluate("pane => pane.textContent")
    return [int(n) for n in re.findall(r"number (\d+)\.", text)]


def test_reloads_and_cuts_neither_lose_nor_repeat_a_line(visit: Visit, api: Api, stack: Stack):
    # What a browser says of a server that is away is meant here.
    visit.expected = lambda problem: "Failed to load resource" in problem or "net::ERR" in problem
    crew = api.crew("counted", config("counting"))
    mona = visit("mona")
    page = mona.open(crew_path("counted"))
    api.provision(crew)
    expect(page.locator("#log")).to_contain_text("number 1.", timeout=BUILD_MS)
    for _ in range(3):
        page.reload()
        page.wait_for_timeout(200)
    mona.context.set_offline(True)
    page.wait_for_timeout(1500)
    mona.context.set_offline(False)
    kill(stack, "uvicorn")
    page.wait_for_timeout(1000)
    kill(stack, "redis")
    for _ in range(7):
        wait_until(lambda: try_open(page, mona.url), 120, "the page comes back", 0.5)
        page.wait_for_timeout(300)
    expect(page.locator("#log")).to_contain_text("number 2000.", timeout=BUILD_MS)
    expect(page.locator("#crew-head")).to_contain_text("Ready", timeout=BUILD_MS)
    wait_until(lambda: len(numbers(page)) >= 2000, 10, "all lines are loaded")
    assert numbers(page) == list(range(1, 2001))


def try_open(page: Page, url: str) -> bool:
    """False while the server is away."""
    try:
        answer = page.goto(url + crew_path("counted"))
    except PlaywrightError as err:
        if "ERR_" not in str(err):
            raise
        return False
    return answer is not None and answer.ok


def kill(stack: Stack, command: str) -> None:
    """The supervisor starts it again."""
    for pid in stack.pids(command):
        os.kill(pid, signal.SIGKILL)


def test_output_that_wants_to_be_more_is_text(visit: Visit, api: Api):
    crew = api.crew("imposter", config("imposter"))
    page = visit("mona").open(crew_path("imposter"))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    api.provision(crew)  # seen live …
    check_imposter(page)
    page.reload()  # … and from the server
    check_imposter(page)
    assert dialogs == []


def check_imposter(page: Page) -> None:
    log = page.locator("#log")
    expect(log).to_contain_text("the imposter ends", timeout=BUILD_MS)
    expect(page.locator("#crew-head")).to_contain_text("Ready", timeout=BUILD_MS)
    output = page.locator("#log .out").all_inner_texts()
    text = "\n".join(output)
    assert "<script>document.title" in text
    assert page.title() != "owned"
    for tag in ("script", "img", "a", "iframe"):
        expect(log.locator(tag)).to_have_count(0)
    assert "click me" in text
    assert "evil.example" not in text
    assert "100% loaded" in text
    assert "55%" not in text
    assert "\u202e" not in text
    # What it printed in our name is output; ours has another structure.
    ours = "\n".join(page.locator("#log .line-system").all_inner_texts())
    assert "Feature everything installed" in text
    assert "Feature everything installed" not in ours
    assert "The image is ready" not in ours
    assert "event: end" in text
    assert max(len(line) for line in text.split("\n")) < 4100
    expect(log.locator(".out .f1")).to_have_text(["red"])


def test_a_long_log_is_searched_and_followed(visit: Visit, api: Api):
    crew = api.crew("searched", config("chatty"))
    api.build(crew)
    page = visit("vera").open(crew_path("searched"))
    expect(page.locator("#log")).to_contain_text("line 1\n", timeout=10_000)
    page.get_by_label("Search the log").fill("line 150")
    found = page.locator(".log-search output")
    expect(found).to_have_text("1 of 11")  # 150 and 1500 to 1509
    page.get_by_role("button", name="Next match").click()
    expect(found).to_have_text("2 of 11")
    expect(page.get_by_label("Follow")).not_to_be_checked()
    page.get_by_role("button", name="Previous match").click()
    expect(found).to_have_text("1 of 11")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert "line 2000" in download.value.path().read_text()
