"""Pictures of every page for docs/screenshots: ``python -m tests.browser.pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS, PASSWORD, SCREENSHOTS, Visitor
from tests.browser.gallery import running_gallery
from tests.browser.test_accessible import PAGES

WIDTHS = {1440: 900, 390: 844}
SHOWN = (
    "overview",
    "overview-empty",
    "crew-ready",
    "crew-running",
    "crew-failed",
    "crew-edit",
    "agent",
    "images",
    "members",
    "tokens",
    "audit",
    "not-found",
)


def main() -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_gallery(Path(folder) / "data", PASSWORD) as url,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS))
        for theme in ("light", "dark"):
            for width, height in WIDTHS.items():
                take(chromium, url, theme, width, height)
        chromium.close()


def take(chromium: Browser, url: str, theme: str, width: int, height: int) -> None:
    size = {"width": width, "height": height}
    context = chromium.new_context(color_scheme=theme, viewport=size)  # type: ignore[arg-type]
    visitor = Visitor(context, url)
    visitor.open("/sign-in").screenshot(path=SCREENSHOTS / f"sign-in-{theme}-{width}.png")
    visitor.sign_in("olga")
    for name in SHOWN:
        page = visitor.open(PAGES[name])
        page.wait_for_timeout(600)
        page.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{width}.png")
    context.close()


if __name__ == "__main__":
    main()
