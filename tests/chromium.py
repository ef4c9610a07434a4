"""A real Chromium for the console's tests: Debian's, driven by Playwright, and axe-core in its pages."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import OWN_TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

AXE = OWN_TOOLS.parent / "axe" / "package" / "axe.min.js"
WIDTH, HEIGHT = 1360, 900


def chromium_binary() -> str:
    """Skips the test, saying what to install, where there is none."""
    found = shutil.which("chromium", path=str(OWN_TOOLS)) or shutil.which("chromium")
    if found is None:
        pytest.skip("no `chromium` in .tools/bin or PATH: install it with `make tools`")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = chromium_binary()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"],
        )
        try:
            yield opened
        finally:
            opened.close()


def faults_of(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, each with the first element that it is about."""
    if not AXE.exists():
        pytest.skip("no axe-core in .tools/axe: install it with `make tools`")
    # Through the debugger's protocol, so that the page's own policy of scripts stays as it is.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}" for v in found["violations"]]


def screenshot(page: Page, place: Path, name: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=place / f"{name}.png", full_page=True)
