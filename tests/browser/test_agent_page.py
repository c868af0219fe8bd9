"""An agent's page: its log is live, and its environment gets rows at a button's press."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, config, crew_path
from tests.stack.server import Api, Stack

pytestmark = pytest.mark.browser
PRINTED = """
from django.utils import timezone
from crewship.crews.models import *
agent = Agent.objects.get(crew__slug="{crew}", name="coder")
AgentLogChunk.objects.create(agent=agent, seq={seq}, lines={lines}, at=timezone.now())
"""
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SOON_MS = 15_000


def prints(stack: Stack, crew: str, seq: int, lines: list[str]) -> None:
    code = PRINTED.format(crew=crew, seq=seq, lines=lines)
    stack.manage("shell", "-v0", "-c", code)


def test_the_log_is_live_bounded_and_only_text(visit: Visit, api: Api, stack: Stack):
    api.crew("talking", config())
    page = visit("olga").open(crew_path("talking"))
    page.get_by_role("button", name="Add agent").first.click()
    page.get_by_label("Name").fill("coder")
    page.get_by_label("Command").fill("sleep 1")
    page.locator("#ask-agent button[type=submit]").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("coder")
    pane = page.locator("#agent-log")
    expect(pane).to_contain_text("Nothing was printed yet.")
    prints(stack, "talking", 1, ["<b id=x>first</b>"])
    expect(pane).to_contain_text("<b id=x>first</b>", timeout=SOON_MS)
    expect(page.locator("#x")).to_have_count(0)
    expect(page.locator("[data-reload]")).to_be_hidden()
    page.evaluate(HIDE, True)
    prints(stack, "talking", 2, [f"n{at}." for at in range(6000)])
    page.evaluate(HIDE, False)
    expect(pane).to_contain_text("n5999.", timeout=SOON_MS)
    expect(pane).not_to_contain_text("n1.")
    page.wait_for_function(
        "() => { const p = document.querySelector('#agent-log');"
        " return p.scrollHeight - p.scrollTop - p.clientHeight < 40 }"
    )
    prints(stack, "talking", 3, [f"m{at}." for at in range(6000)])
    expect(pane).to_contain_text("m5999.", timeout=SOON_MS)
    assert pane.text_content().count("\n") <= 5000  # type: ignore[union-attr]


def test_a_variable_is_added_and_a_secret_kept(visit: Visit, api: Api, stack: Stack):
    api.crew("quiet", config())
    page = visit("olga").open(crew_path("quiet"))
    page.get_by_role("button", name="Add agent").first.click()
    page.get_by_label("Name").fill("coder")
    page.get_by_label("Command").fill("sleep 1")
    page.locator("#ask-agent button[type=submit]").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("coder")
    expect(page.locator(".env-row")).to_have_count(0)
    for at, (name, value) in enumerate({"LEVEL": "info", "KEY": "hidden-value"}.items()):
        page.get_by_role("button", name="Add variable").click()
        row = page.locator(".env-row").nth(at)
        row.get_by_label("Name").fill(name)
        row.get_by_label("Value").fill(value)
    row.get_by_label("secret").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("It takes effect at the next start.")
    expect(page.get_by_placeholder("•••• kept")).to_have_value("")
    assert "hidden-value" not in page.content()
