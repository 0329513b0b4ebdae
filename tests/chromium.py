"""A real Chromium, and a desktop opener that starts it."""

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conftest import path_of_chromium
from playwright.sync_api import Browser, BrowserContext, Page, Playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

# As a desktop's opener: start the browser, or send the address to the one that runs.
OPENER = """\
#!{python}
import os, sys, urllib.request
home, url = {home!r}, sys.argv[-1]
with open(home + "/opened", "a") as opened:
    print(url, file=opened)
try:
    port = open(home + "/profile/DevToolsActivePort").read().split()[0]
except FileNotFoundError:
    with open(home + "/pid", "w") as pid:
        pid.write(str(os.getpid()))
    os.execv({chromium!r}, [{chromium!r}, *{flags!r}, "--user-data-dir=" + home + "/profile", url])
address = "http://127.0.0.1:" + port + "/json/new?" + url
urllib.request.urlopen(urllib.request.Request(address, method="PUT"))
"""
FLAGS = [
    "--headless",
    "--remote-debugging-port=0",
    "--no-first-run",
    # No requests of its own: no test contacts anything outside loopback.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-gpu",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's own sandbox refuses root
]


@dataclass
class Desktop:
    """A desktop with one browser, which starts with the first address."""

    home: Path
    playwright: Playwright
    _browser: Browser | None = None

    @property
    def opener(self) -> Path:
        return self.home / "xdg-open"

    def install(self, *flags: str) -> None:
        self.opener.write_text(
            OPENER.format(
                python=sys.executable,
                home=str(self.home),
                chromium=path_of_chromium(),
                flags=[*FLAGS, *flags],
            )
        )
        self.opener.chmod(0o755)

    @property
    def context(self) -> BrowserContext:
        if self._browser is None:
            port = wait_for_text(self.home / "profile" / "DevToolsActivePort").split()[0]
            address = f"http://127.0.0.1:{port}"
            self._browser = self._attach(address)
            self._browser.contexts[0].set_default_timeout(20_000)
        return self._browser.contexts[0]

    def _attach(self, address: str) -> Browser:
        """Attach Playwright; try again, as it can miss a page that is just opening."""
        attach = self.playwright.chromium.connect_over_cdp
        for _ in range(2):
            with suppress(PlaywrightTimeout):
                return attach(address, timeout=10_000)
        return attach(address, timeout=10_000)

    def tab(self, number: int = 0) -> Page:
        while len(self.context.pages) <= number:
            self.context.wait_for_event("page")
        return self.context.pages[number]

    def close(self) -> None:
        if self._browser:
            self._browser.close()
            self._browser = None
        if (self.home / "pid").exists():
            os.kill(int((self.home / "pid").read_text()), signal.SIGKILL)
            (self.home / "pid").unlink()


def wait_for_text(path: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)  # the browser is starting
    raise TimeoutError(path)
