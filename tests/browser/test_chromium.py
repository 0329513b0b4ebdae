"""Whole logins in a real Chromium that `soe-auth` itself launches.

Pictures of what a user sees are kept in test-artifacts/.
"""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pexpect
import pytest
from chromium import Desktop
from conftest import Command
from playwright.sync_api import Page, Playwright, sync_playwright

from soe_auth.sandbox import Quirks, Sandbox

pytestmark = [
    pytest.mark.posix("drives Debian's Chromium"),
    pytest.mark.browser,
    pytest.mark.process,
    pytest.mark.timeout(120),
]

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"


def history(page: Page) -> list[str]:
    """Return the addresses in a tab's history; the last one is in the address bar."""
    session = page.context.new_cdp_session(page)
    return [entry["url"] for entry in session.send("Page.getNavigationHistory")["entries"]]


def picture(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture
def desktop(tmp_path: Path, playwright: Playwright) -> Iterator[Desktop]:
    home = tmp_path / "desktop"
    home.mkdir()
    desktop = Desktop(home, playwright)
    desktop.install()
    yield desktop
    desktop.close()


@pytest.fixture
def user(soe_auth: Command, desktop: Desktop) -> Command:
    return soe_auth.with_variables(
        BROWSER=str(desktop.opener), DISPLAY=":99"
    )  # without it, no browser is opened


@dataclass
class Login:
    """A running `soe-auth`, whose user is in the browser."""

    process: "subprocess.Popen[str]"

    def end(self) -> tuple[int, str]:
        """Return exit code and stderr."""
        _, stderr = self.process.communicate(timeout=10)
        return self.process.returncode, stderr


def start(user: Command, *argv: str) -> Login:
    return Login(
        subprocess.Popen(
            [user.path, *argv],
            env=user.environ,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


def first_login(site: Sandbox) -> tuple[str, ...]:
    return ("login", "--site", site.url, "--client-id", "110")


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Jane Doe").click()


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve").click()


def test_the_last_page_appears_after_the_token_is_stored(
    user: Command, desktop: Desktop, site: Sandbox
) -> None:
    login = start(user, *first_login(site))
    page = desktop.tab()
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.get_by_role("button", name="Jane Doe").wait_for()
    picture(page, "sandbox-sign-in")
    sign_in(page)
    page.get_by_role("button", name="Approve").wait_for()
    picture(page, "sandbox-consent")
    approve(page)
    page.get_by_role("heading", name="Signed in as Jane Doe").wait_for()
    code, stderr = login.end()
    assert code == 0
    assert "Signed in to localhost" in stderr
    assert urlsplit(site.url).netloc in page.inner_text("main")
    assert "until" in page.inner_text("main")
    assert user("token").returncode == 0
    assert console == []
    picture(page, "signed-in")
    page.emulate_media(color_scheme="dark")
    picture(page, "signed-in-dark")
    page.set_viewport_size({"width": 360, "height": 640})
    picture(page, "signed-in-phone")


@pytest.mark.rfc("6749-3.1.2.5", "9700-4.3.1")
def test_the_code_is_removed_from_address_bar_and_history(
    user: Command, desktop: Desktop, site: Sandbox
) -> None:
    login = start(user, *first_login(site))
    page = desktop.tab()
    sign_in(page)
    approve(page)
    page.get_by_role("heading", name="Signed in").wait_for()
    assert login.end()[0] == 0
    assert re.fullmatch(r"http://localhost:\d+/[\w-]{8}", page.url)
    assert not any("code=" in url for url in history(page))
    assert not any("code=" in url for url in visible_history(desktop.home / "profile"))


def visible_history(profile: Path) -> list[str]:
    """Return the addresses that the browser's own history shows to a user."""
    copy = profile / "History-copy"
    shutil.copy(profile / "Default" / "History", copy)
    with closing(sqlite3.connect(copy)) as database:
        return [url for (url,) in database.execute("SELECT url FROM urls WHERE hidden = 0")]


def test_a_refusal_is_shown_in_browser_and_terminal(
    user: Command, desktop: Desktop, site: Sandbox
) -> None:
    login = start(user, *first_login(site), "--scope", "read_inbox,private_info,write_access")
    page = desktop.tab()
    page.set_viewport_size({"width": 360, "height": 640})
    sign_in(page)
    cancel = page.get_by_role("button", name="Cancel")
    box = cancel.bounding_box()
    assert box
    assert box["y"] + box["height"] <= 640  # visible without scrolling
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    picture(page, "sandbox-consent-phone")
    cancel.click()
    page.get_by_role("heading", name="Not signed in").wait_for()
    code, stderr = login.end()
    assert code == 4
    assert "You chose Cancel on the site" in stderr
    assert "You chose Cancel on the site" in page.inner_text("main")
    assert "error=" not in page.url
    picture(page, "refused")


def test_the_keyboard_alone_can_sign_in_and_approve(
    user: Command, desktop: Desktop, site: Sandbox
) -> None:
    login = start(user, *first_login(site))
    page = desktop.tab()
    for heading, button in (("Sign in", "Jane Doe"), ("Loopback tools", "Approve")):
        page.get_by_role("heading", name=heading).first.wait_for()
        focused = page.locator(":focus")
        for _ in range(20):
            page.keyboard.press("Tab")
            if button in focused.inner_text():
                break
        outline = focused.evaluate("element => getComputedStyle(element).outlineStyle")
        assert outline == "solid"  # the focus is visible
        page.keyboard.press("Enter")
    page.get_by_role("heading", name="Signed in as Jane Doe").wait_for()
    assert login.end()[0] == 0


def test_a_failed_exchange_is_shown_in_the_browser(
    user: Command, desktop: Desktop, site: Sandbox
) -> None:
    site.quirks = Quirks(token="unavailable")
    login = start(user, *first_login(site))
    page = desktop.tab()
    sign_in(page)
    approve(page)
    page.get_by_role("heading", name="Not signed in").wait_for()
    assert login.end()[0] == 5
    assert "HTTP 503" in page.inner_text("main")
    picture(page, "exchange-failed")


def test_a_second_login_needs_no_click(user: Command, desktop: Desktop, site: Sandbox) -> None:
    login = start(user, *first_login(site))
    sign_in(desktop.tab())
    approve(desktop.tab())
    assert login.end()[0] == 0
    again = start(user, "login")
    desktop.tab(1).get_by_role("heading", name="Signed in as Jane Doe").wait_for()
    assert again.end()[0] == 0
    assert len(site.exchanges) == 2


def test_the_demo_signs_in_with_the_users_browser(user: Command, desktop: Desktop) -> None:
    demo = start(user, "demo")
    page = desktop.tab()
    sign_in(page)
    approve(page)
    page.get_by_role("heading", name="Signed in as Jane Doe").wait_for()
    code, stderr = demo.end()
    assert code == 0
    assert "The API answers: you are Jane Doe." in stderr


@pytest.mark.rfc("8252-6")
def test_the_opener_on_path_is_used_and_the_listener_is_closed_at_the_end(
    soe_auth: Command, desktop: Desktop, site: Sandbox
) -> None:
    path = f"{desktop.home}{os.pathsep}{os.environ['PATH']}"
    login = start(soe_auth.with_variables(PATH=path, DISPLAY=":99"), *first_login(site))
    page = desktop.tab()
    sign_in(page)
    approve(page)
    page.get_by_role("heading", name="Signed in").wait_for()
    assert login.end()[0] == 0
    [launched] = (desktop.home / "opened").read_text().split()
    assert re.fullmatch(r"http://localhost:\d+/[\w-]{8}", launched)
    for address in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, urlsplit(launched).port or 0), timeout=1)


@pytest.mark.rfc("6749-10.12", "a web page that sends requests")
def test_requests_of_other_pages_do_not_end_a_login(
    user: Command, desktop: Desktop, site: Sandbox
) -> None:
    login = start(user, "-v", *first_login(site))
    page = desktop.tab()
    page.get_by_role("button", name="Jane Doe").wait_for()
    [launched] = (desktop.home / "opened").read_text().split()
    port = urlsplit(launched).port
    callback = f"http://localhost:{port}/callback/http:localhost:{site.port}"
    foreign = desktop.context.new_page()
    foreign.set_content(
        f'<img src="{callback}?error=access_denied"><iframe src="{callback}?code=x&state=y">'
        f'</iframe><script>fetch("{callback}?code=x", {{mode: "no-cors"}})</script>'
    )
    foreign.goto(f"{callback}?error=access_denied&state=guess")
    assert "This page has expired" in foreign.inner_text("main")
    picture(foreign, "stray")
    sign_in(page)
    approve(page)
    page.get_by_role("heading", name="Signed in").wait_for()
    code, stderr = login.end()
    assert code == 0
    assert "an error (access_denied) without this login's state" in stderr


def test_the_last_address_of_a_browser_on_another_machine_can_be_pasted(
    soe_auth: Command, desktop: Desktop, site: Sandbox
) -> None:
    # On another machine, nothing listens at 127.0.0.1.
    desktop.install("--host-resolver-rules=MAP 127.0.0.1 ~NOTFOUND")
    login = pexpect.spawn(
        soe_auth.path,
        ["login", "--site", site.url, "--client-id", "111", "--redirect-host", "127.0.0.1"],
        env={**soe_auth.environ, "SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"},
        encoding="utf-8",
        timeout=20,
        dimensions=(40, 400),
    )
    login.expect("Cannot open a browser here")
    login.expect("This is an SSH session")
    login.expect(r"(http://\S+/oauth\?\S+)")
    opened = subprocess.Popen([desktop.opener, login.match[1]], stderr=subprocess.DEVNULL)
    try:
        page = desktop.tab()
        sign_in(page)
        approve(page)
        page.get_by_text("be reached").wait_for()
        picture(page, "browser-on-another-machine")
        login.sendline(history(page)[-1])
        login.expect("Signed in to localhost")
        login.expect(pexpect.EOF)
        login.close()
        assert login.exitstatus == 0
    finally:
        desktop.close()
        opened.wait(10)
