"""Fixtures: a Chromium, the real server, and visits that fail when the browser met an error or left the machine."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.install import installed
from tests.browser.screen import Visit, figures, settled
from tests.browser.server import ROOT, Serve, Server
from tests.browser.watch import Watch

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
CURVES = Path(__file__).with_name("live") / "app.py"
LOCALES = {"en": "en-US", "zh": "zh-CN"}
NO_BROWSER = "NO CHROMIUM: no browser journey was tested. Install Chromium, or set VIVA_CHROMIUM=/path/to/it."


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium: the machine's, else Playwright's. Without one the tests skip; under CI they fail."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = installed() or (own if own.is_file() else None)
        if found is None:
            if os.environ.get("CI") == "true":
                pytest.fail(NO_BROWSER, pytrace=False)
            print(f"\n!! {NO_BROWSER}", file=sys.stderr)  # noqa: T201
            pytest.skip(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running Viva for all tests of a file that only read."""
    running = Server(tmp_path_factory.mktemp("viva") / "data").start()
    yield running
    running.stop()
    assert running.faults() == []


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page of the two components, under `streamlit run` like the app itself."""
    running = Server(tmp_path_factory.mktemp("live") / "data", ROOT, script=CURVES).start()
    yield running
    running.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a Viva of the test's own: `serve()`, `serve(tree=copy)`, `serve(show_answers=True)` for settings."""
    running: list[Server] = []

    def start(tree: Path = ROOT, **settings: object) -> Server:
        server = Server(tmp_path / f"data{len(running)}", tree)
        if settings:
            store = server.memory()
            for key, value in settings.items():
                store.set_preference(key, value)
            store.close()
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()
    assert [fault for server in running for fault in server.faults()] == []


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a screen in a browser of its own: `visit(server, "question", number=4, width=390)`."""
    watches: list[Watch] = []

    def open_screen(
        server: Server,
        path: str = "",
        *,
        language: str = "en",
        theme: Literal["light", "dark"] = "light",
        width: int = 1280,
        **query: str | int,
    ) -> Page:
        context = chromium.new_context(
            locale=LOCALES[language],
            color_scheme=theme,
            viewport={"width": width, "height": 1400},
        )
        watches.append(Watch(context, server))
        page = context.new_page()
        page.goto(server.url(path, **query))
        return settled(page)

    yield open_screen
    for context in chromium.contexts:
        context.close()
    assert [problem for watch in watches for problem in watch.problems + watch.outside] == []


@pytest.fixture
def page(live: Server, visit: Visit) -> Page:
    """The page of the two components, its figure drawn."""
    opened = visit(live)
    expect(figures(opened).first).to_be_visible()
    return opened
