"""A scripted browser, for computers without a user or a browser.

As a command: `python -m soe_auth.sandbox.scripted_browser URL` opens the URL, signs in, approves
and reads the last page. It connects to loopback only.
"""

import argparse
import asyncio
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_PAGES: Final = 20
_TIMEOUT: Final = 60.0
"""Seconds for each page."""

_FormData = Sequence[tuple[str, str]]


class VisitStopped(Exception):
    """The browser cannot continue; the message is a sentence without a query string."""


@dataclass(frozen=True, slots=True)
class VisitedPage:
    """The last page of a visit; its repr has no address or text, which may contain a code."""

    status: int
    url: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(slots=True)
class _Form:
    """A form on a page; buttons are (name, value, text)."""

    key: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


async def visit(
    url: str,
    *,
    account: str | None = None,
    refuse: bool = False,
    narrate: Callable[[str], None] = lambda _sentence: None,
    ssl_context: ssl.SSLContext | None = None,
) -> VisitedPage:
    """Open a URL as a user would: follow redirects, sign in, approve, read the last page.

    `account` is the name to sign in with, None for the first one. With `refuse`, Cancel is pressed
    in place of Approve. `narrate` gets a sentence about each page, never a secret. Raises
    `VisitStopped`, or OSError or http.client.HTTPException if a page cannot be loaded.
    """
    cookies: dict[str, str] = {}
    form: _FormData | None = None
    for _ in range(_MAX_PAGES):
        page, location = await asyncio.to_thread(_load, url, form, cookies, ssl_context)
        narrate(f"{_without_query(url)} answered {page.status}.")
        if location is not None:
            url, form = urljoin(url, location), None
        elif submitted := _submit(page, account, refuse=refuse):
            url, form = submitted
        else:
            return page
    raise VisitStopped(f"The last page was not reached within {_MAX_PAGES} pages.")


def _load(
    url: str, form: _FormData | None, cookies: dict[str, str], context: ssl.SSLContext | None
) -> tuple[VisitedPage, str | None]:
    """Open a URL, or send a form to it; return the page, and where it redirects to."""
    target = urlsplit(url)
    host = target.hostname or ""
    if host.endswith(".localhost"):  # browsers resolve these names to loopback
        host = "localhost"
    if target.scheme not in {"http", "https"} or host not in _LOOPBACK:
        raise VisitStopped("The next page is not on this computer.")
    if target.scheme == "http":
        connection = HTTPConnection(host, target.port, timeout=_TIMEOUT)
    else:
        connection = HTTPSConnection(host, target.port, timeout=_TIMEOUT, context=context)
    headers = {"Host": target.netloc, "Connection": "close"}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    method, body = "GET", None
    if form is not None:
        method, body = "POST", urlencode(form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    path = target._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        for header in response.headers.get_all("Set-Cookie", []):
            cookies.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    location = response.headers["Location"] if response.status in range(300, 400) else None
    return VisitedPage(response.status, url, text), location


def _submit(
    page: VisitedPage, account: str | None, *, refuse: bool
) -> tuple[str, _FormData] | None:
    """Fill in the form for sign-in or consent; return its address and data, None without one."""
    parser = _FormParser()
    parser.feed(page.text)
    for form in parser.forms:
        if form.key == "sign-in":
            buttons = [
                (name, value)
                for name, value, text in form.buttons
                if account is None or account in text
            ]
            if not buttons:
                raise VisitStopped(f"The sign-in page has no account with the name {account!r}.")
            button = buttons[0]
        elif form.key == "consent":
            button = ("decision", "cancel" if refuse else "approve")
        else:
            continue
        return urljoin(page.url, form.action), (*form.fields, button)
    return None


def _without_query(url: str) -> str:
    target = urlsplit(url)
    return f"{target.scheme}://{target.netloc}{target.path}"


class _FormParser(HTMLParser):
    """Find the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._is_in_button = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add a form, a hidden field, the first option of a list, or a button."""
        found = {name: value or "" for name, value in attrs}
        name, value = found.get("name", ""), found.get("value", "")
        if tag == "form":
            self.forms.append(_Form(found.get("id", ""), found.get("action", "")))
        elif not self.forms:
            return
        elif tag == "input":
            self.forms[-1].fields.append((name, value))
        elif tag == "select":
            self._select = name
        elif self._select and tag == "option":  # a browser selects the first
            self.forms[-1].fields.append((self._select, value))
            self._select = ""
        elif tag == "button":
            self.forms[-1].buttons.append((name, value, ""))
            self._is_in_button = True

    def handle_endtag(self, tag: str) -> None:
        """End a button."""
        if tag == "button":
            self._is_in_button = False

    def handle_data(self, data: str) -> None:
        """Add the text of a button."""
        if self._is_in_button:
            name, value, text = self.forms[-1].buttons[-1]
            self.forms[-1].buttons[-1] = name, value, text + data


def run_scripted_browser(arguments: Sequence[str] | None = None) -> int:
    """Visit the URL of the command line; return 0 unless the last page is an error."""
    parser = argparse.ArgumentParser(
        prog="scripted_browser", description="Sign in to a sandbox without a user."
    )
    parser.add_argument("--account", metavar="NAME", help="the account to sign in with")
    parser.add_argument("--refuse", action="store_true", help="press Cancel, not Approve")
    parser.add_argument("url", metavar="URL")
    args = parser.parse_args(arguments)
    try:
        page = asyncio.run(visit(args.url, account=args.account, refuse=args.refuse))
    except (VisitStopped, HTTPException, OSError) as error:
        problem = str(error) or "no answer in time"
    else:
        if page.status < 400:  # noqa: PLR2004 - the first of HTTP's error statuses
            return 0
        problem = f"{_without_query(page.url)} answered {page.status}"
    sys.stderr.write(f"scripted_browser: {problem}\n")
    return 1


if __name__ == "__main__":
    sys.exit(run_scripted_browser())
