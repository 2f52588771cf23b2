"""A real Chromium in front of a real `up --demo`, for tests that look at pages as people do."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.running import Place, Running, wait_for

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


class Product:
    """The product, started with one command, and what its shop knows."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder, f"sqlite:///{folder / 'sagaweb.sqlite3'}")
        self.running = Running(self.place, "up", "--demo", "--port", "0")
        ready = self.running.ready()
        self.url: str = ready["url"]
        self.sign_in_url: str = ready["sign_in_url"]
        self.session: Any = None

    def shop(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the shop's own tables."""
        with closing(sqlite3.connect(self.place.folder / "sagaweb.sqlite3", timeout=20)) as connection:
            return connection.execute(sql, values).fetchall()

    def new_sign_in_url(self) -> str:
        """Return another link like the one that `up` prints."""
        raw = secrets.token_urlsafe(32)
        digest = hashlib.sha256(raw.encode()).hexdigest()
        (user_id,) = self.shop("SELECT min(id) FROM auth_user WHERE is_superuser")[0]
        self.place.write(f"INSERT INTO sagas_signinlink VALUES ('{digest}', '2999-01-01 00:00:00', NULL, {user_id})")
        return f"{self.url}/sign-in/{raw}/"

    def web(self) -> Any:
        """Return the process that answers the browser."""
        return wait_for(
            lambda: next((child for child in self.running.children() if "uvicorn" in child.cmdline()), None), "the web"
        )


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Start the browser, and end it before any test with an event loop of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser window, signed in as admin unless said otherwise."""

    def __init__(self, browser: Browser, product: Product, **options: Any) -> None:
        self.product = product
        self.context: BrowserContext = browser.new_context(base_url=product.url, **options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", self._listen)

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def forgive(self, *beginnings: str) -> None:
        """Forget complaints that the test itself brought about."""
        self.complaints = [line for line in self.complaints if not line.startswith(beginnings)]

    def eventually(self, script: str, wanted: Any, what: str, argument: Any = None) -> None:
        """Wait until a look at the page gives `wanted`; Playwright's own way needs eval, which the page forbids."""
        wait_for(lambda: self.page.evaluate(script, argument) == wanted, what)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector).strip()

    def wait_for_text(self, selector: str, wanted: str) -> None:
        wait_for(lambda: wanted in self.text(selector), f"{wanted!r} in {selector}")

    def press(self, selector: str) -> None:
        """Press a link or button that leads to another page, and wait for that page."""
        with self.page.expect_navigation():
            self.page.click(selector)

    def run_demo(self, fails_at: str = "nothing", how: str = "reject") -> str:
        """Press the one button; return the order's number."""
        self.page.goto("/welcome/")
        self.page.check(f"input[name=fails_at][value={fails_at}]")
        self.page.check(f"input[name=how][value={how}]")
        self.press("text=Run the demo order")
        return self.text("#run-head h1 .number")

    def mark(self) -> None:
        """Leave a mark that a reload would wipe out."""
        self.page.evaluate("() => { window.mark = 'the same page'; }")

    @property
    def is_same_page(self) -> bool:
        return self.page.evaluate("() => window.mark") == "the same page"

    def wait_until_live(self) -> None:
        self.eventually("() => document.getElementById('connection').dataset.state", "live", "a live page")

    def states(self) -> list[str]:
        """Return what the picture says of each box."""
        return self.page.evaluate("() => [...document.querySelectorAll('#graph .node')].map(n => n.dataset.state)")

    def tab_to(self, selector: str) -> None:
        """Reach an element with the Tab key alone."""
        for _ in range(120):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        message = f"{selector} cannot be reached with Tab"
        raise AssertionError(message)

    def go_by_keyboard(self, selector: str) -> None:
        """Reach a link or button with Tab and press Enter."""
        self.tab_to(selector)
        before = self.page.url
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: url != before)
