"""A manager makes and edits crews: by keyboard alone, with problems as she types."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, Visit, config
from tests.stack.server import Api

pytestmark = pytest.mark.browser
SSHD = "ghcr.io/crewship-ai/features/sshd:1"
TEXT = """{
  // what everybody starts from: größe 🚢
  "image": "debian:bookworm-slim", // pinned
  "features": {
    "ghcr.io/crewship-ai/features/base-tools:1": {} // tools
    /* the end */
  }
}
"""
BROKEN = TEXT.replace('"image":', '"privileged": true,\n  "forwardPorts": [3000],\n  "image":')


NEW = "/w/acme/crews/new"


def editor(visit: Visit, path: str = NEW, **options: Any) -> Page:
    return visit("mona", **options).open(path)


def stored(api: Api, slug: str) -> Any:
    crews = api.http.get("/crews", params={"limit": 200}).json()["results"]
    return next(crew for crew in crews if crew["slug"] == slug)["devcontainer_config"]


def grave_findings(page: Page) -> list[str]:
    """What axe finds of serious and critical weight: the rule, and the first place."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


def text_of(page: Page, field: str = "devcontainer_config") -> str:
    return page.locator(f"#id_{field}").input_value()


def write(page: Page, text: str, field: str = "devcontainer_config") -> None:
    page.locator(f"#id_{field}").fill(text)


def is_quiet(page: Page, summary: str) -> None:
    """Waits until the last check said ``summary``."""
    expect(page.locator("#summary")).to_have_text(summary)


def tab_to(page: Page, name: str, most: int = 60) -> None:
    """Presses Tab until the element of this accessible name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "(e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim()"
            " || e.textContent.trim())(document.activeElement)"
        )
        if re.sub(r"\s+", " ", found).startswith(name):
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


def test_a_crew_is_made_by_keyboard_alone(visit: Visit, api: Api):
    page = editor(visit)
    keys = page.keyboard
    tab_to(page, "Name")
    keys.type("By Keyboard")
    expect(page.locator("#id_slug")).to_have_value("by-keyboard")
    tab_to(page, "devcontainer.json")
    keys.type('{\n"image": "debian:bookworm-slim", // pinned\n"privileged": true\n}')
    expect(page.locator("#findings .problem")).to_contain_text("devcontainer.json 3:1")
    keys.press("ArrowUp")
    keys.press("End")
    for _ in '\n"privileged": true':
        keys.press("Backspace")
    is_quiet(page, "No problems")
    keys.press("Escape")
    tab_to(page, "Add feature")
    keys.press("Enter")
    expect(page.locator("#feature-picker")).to_be_visible()
    expect(page.locator("#feature-picker .entry").first).to_be_visible()
    keys.type("features/sshd")
    expect(page.locator("#feature-picker .entry")).to_have_count(1)
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Options of SSH server")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#option-port")).to_be_focused()
    keys.type("2022")
    keys.press("Enter")
    expect(page.locator("#features")).to_contain_text("port 2022")
    tab_to(page, "Check")
    keys.press("Enter")
    expect(page.locator("#plan")).to_contain_text("sshd")
    pane = text_of(page)
    assert pane == (
        '{\n"image": "debian:bookworm-slim", // pinned\n"features": {\n'
        f'  "{SSHD}": {{\n    "port": "2022"\n  }}\n}},\n}}'
    )
    page.locator("#id_name").focus()
    keys.press("Enter")
    page.wait_for_url("**/crews/by-keyboard/")
    assert stored(api, "by-keyboard") == pane


def test_problems_are_marked_as_one_types(visit: Visit):
    page = editor(visit)
    write(page, BROKEN)
    is_quiet(page, "1 problem")
    expect(page.locator(".code-lens.problem")).to_have_text("no crew runs privileged")
    page.locator("#findings .finding").first.click()
    selected = page.evaluate(
        "(a => a.value.slice(a.selectionStart, a.selectionEnd))(document.activeElement)"
    )
    assert selected == '"privileged"'
    write(page, BROKEN.replace('"privileged": true,', ""))
    is_quiet(page, "1 warning")
    write(page, TEXT.replace("}\n}", "}"))
    is_quiet(page, "1 problem")


def test_a_picker_changes_just_its_part_of_the_text(visit: Visit):
    page = editor(visit)
    write(page, TEXT)
    is_quiet(page, "No problems")
    page.get_by_role("button", name="Add feature").click()
    page.locator("#feature-picker .entry", has_text=SSHD).click()
    expect(page.locator("#features li")).to_have_count(2)
    added = TEXT.replace("{} // tools", f'{{}}, // tools\n    "{SSHD}": {{}}')
    assert text_of(page) == added
    page.get_by_role("button", name="Options of SSH server").click()
    page.get_by_label("port").fill("2022")
    page.get_by_role("button", name="Put into the text").click()
    expect(page.locator("#features")).to_contain_text("port 2022")
    page.get_by_role("button", name="Remove SSH server").click()
    expect(page.locator("#features li")).to_have_count(1)
    assert text_of(page) == TEXT
    expect(page.get_by_role("button", name="Add feature")).to_be_focused()


def test_what_a_picker_did_can_be_undone(visit: Visit):
    page = editor(visit)
    write(page, TEXT)
    page.get_by_role("button", name="Add feature").click()
    page.locator("#feature-picker .entry", has_text=SSHD).click()
    expect(page.locator("#features li")).to_have_count(2)
    page.locator("#id_devcontainer_config").focus()
    page.keyboard.press("Control+z")
    expect(page.locator("#id_devcontainer_config")).to_have_value(TEXT)


def test_tools_and_base_image_are_picked(visit: Visit):
    page = editor(visit)
    page.get_by_label("Base image").select_option(index=1)
    page.get_by_role("button", name="Use").click()
    expect(page.locator("#id_devcontainer_config")).to_have_value(re.compile(r'"image": "mcr\.'))
    page.get_by_role("button", name="Add tool").click()
    page.locator("#tool-q").fill("node")
    page.locator('#tool-picker .entry[data-tool="node"]').click()
    page.get_by_label("Version", exact=True).fill("22")
    page.get_by_role("button", name="Put into the text").click()
    expect(page.locator("#tools")).to_contain_text("node 22")
    assert text_of(page, "mise_config") == '{\n  "tools": {\n    "node": "22"\n  }\n}\n'
    write(page, "[tools.node]\nversion = '20'\n", "mise_config")
    expect(page.locator("#tools")).to_contain_text("node 20")
    page.get_by_role("button", name="Version of Node.js").click()
    page.get_by_label("Version", exact=True).fill("22")
    page.get_by_role("button", name="Put into the text").click()
    expect(page.get_by_role("alert")).to_contain_text('In [tools]: node = "22"')


def test_the_plan_says_what_is_cached_and_what_will_be_built(visit: Visit, api: Api):
    crew = api.crew("planned", {**config("note"), "postCreateCommand": "true"})
    api.build(crew)
    page = editor(visit, "/w/acme/crews/planned/edit")
    expect(page.locator("#plan")).to_contain_text("Nothing to build: crewship-cache:")
    expect(page.locator("#plan")).to_contain_text("as stored")
    write(page, text_of(page).replace('"true"', '"true || false"'))
    layers = page.locator("#plan li")
    expect(page.locator("#plan")).to_contain_text("1 of 3 layers will be built.")
    expect(layers.filter(has_text="note")).to_contain_text("cached")
    expect(layers.last).to_contain_text("will be built")
    assert grave_findings(page) == []


def test_tab_indents_and_escape_tab_leaves(visit: Visit):
    page = editor(visit)
    area = page.locator("#id_devcontainer_config")
    area.focus()
    page.keyboard.type("{")
    page.keyboard.press("Tab")
    expect(area).to_have_value("{  ")
    expect(area).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(area).not_to_be_focused()


def test_somebody_elses_edit_is_told_and_nothing_is_lost(visit: Visit, api: Api):
    crew = api.crew("edited", {"image": "debian:bookworm-slim"})
    page = editor(visit, "/w/acme/crews/edited/edit")
    api.configure(crew, {"image": "debian:theirs"})
    write(page, '{"image": "debian:mine"}')
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("Somebody else saved this crew")
    assert text_of(page) == '{"image": "debian:mine"}'
    page.get_by_role("button", name="Save mine over it").click()
    page.wait_for_url("**/crews/edited/")
    assert stored(api, "edited") == '{"image": "debian:mine"}'


def test_a_save_succeeds_after_signing_in_again_in_another_tab(visit: Visit, api: Api):
    api.crew("came-back", {"image": "debian:bookworm-slim"})
    mona = visit("mona")
    page = mona.open("/w/acme/crews/came-back/edit")
    # A page without edits goes to the sign-in page as soon as anything of it asks the server.
    write(page, '{"image": "debian:begun"}')
    mona.context.clear_cookies(name="sessionid")
    write(page, '{"image": "debian:mine"}')
    expect(page.locator("#refused")).to_contain_text("You are signed out.")
    mona.page = mona.context.new_page()
    mona.sign_in("mona")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/crews/came-back/")
    assert stored(api, "came-back") == '{"image": "debian:mine"}'


def test_edits_of_an_ended_session_are_offered_after_signing_in(visit: Visit, api: Api):
    api.crew("drafted", {"image": "debian:bookworm-slim"})
    mona = visit("mona")
    page = mona.open("/w/acme/crews/drafted/edit")
    write(page, '{"image": "debian:mine"}')
    mona.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/sign-in?**")
    page.get_by_label("Email").fill("mona@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Put them back").click()
    assert text_of(page) == '{"image": "debian:mine"}'
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/crews/drafted/")
    assert stored(api, "drafted") == '{"image": "debian:mine"}'
    page.goto(f"{mona.url}/w/acme/crews/drafted/edit")
    expect(page.get_by_role("button", name="Put them back")).to_be_hidden()


def test_the_form_saves_without_script(visit: Visit, api: Api):
    page = editor(visit, java_script_enabled=False)
    page.get_by_label("Name").fill("No Script")
    write(page, TEXT)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/crews/no-script/")
    assert stored(api, "no-script") == TEXT


def test_line_endings_survive_an_edit(visit: Visit, api: Api):
    text = "\ufeff" + TEXT.replace("\n", "\r\n")
    api.crew("crlf", devcontainer_config=text)
    page = editor(visit, "/w/acme/crews/crlf/edit")
    page.get_by_role("button", name="Add feature").click()
    page.locator("#feature-picker .entry", has_text=SSHD).click()
    expect(page.locator("#features li")).to_have_count(2)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/crews/crlf/")
    saved = stored(api, "crlf")
    assert saved == text.replace("{} // tools", f'{{}}, // tools\r\n    "{SSHD}": {{}}')


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 320])
def test_every_state_is_accessible_and_fits(visit: Visit, theme: str, width: int):
    size: Any = {"width": width, "height": 900}
    page = editor(visit, viewport=size, color_scheme=theme)
    write(page, BROKEN)
    write(page, '[tools]\nnode = "22"\n', "mise_config")
    page.locator("details.more summary").click()
    is_quiet(page, "1 problem")
    found = grave_findings(page)
    write(page, BROKEN.replace('"privileged": true,', "") + "// " + "long " * 80)
    is_quiet(page, "1 warning")
    page.get_by_role("button", name="Add feature").click()
    expect(page.locator("#feature-picker .entry").first).to_be_visible()
    found += grave_findings(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add tool").click()
    expect(page.locator("#tool-picker .entry").first).to_be_visible()
    found += grave_findings(page)
    page.locator('#tool-picker .entry[data-tool="go"]').click()
    expect(page.locator("#ask")).to_be_visible()
    found += grave_findings(page)
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
