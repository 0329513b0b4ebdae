"""A scripted browser, for computers without a user or a browser.

As a command: `python -m soe_auth.sandbox.scripted_browser URL` opens the URL, signs in, approves
and reads the last page. It connects to loopback only.
"""

import argparse
import asyncio
import html
import re
import shlex
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.cookies import SimpleCookie
from subprocess import list2cmdline
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


# The sandbox's own forms and fields, as its templates have them.
_FORM: Final = re.compile(
    r'<form id="(sign-in|consent)"[^>]* action="([^"]*)">(.*?)</form>', re.DOTALL
)
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
_FIRST_OPTION: Final = re.compile(r'<select [^>]*name="([^"]*)">\s*<option value="([^"]*)">')
_BUTTON: Final = re.compile(
    r'<button [^>]*name="([^"]*)" value="([^"]*)">(.*?)</button>', re.DOTALL
)


async def visit(
    url: str,
    *,
    account: str | None = None,
    refuse: bool = False,
    narrate: Callable[[str], None] = lambda _sentence: None,
    ssl_context: ssl.SSLContext | None = None,
) -> VisitedPage:
    """Open a URL as a user would: follow redirects, sign in, approve, read the last page.

    `account` is the name to sign in with, None for the first one. With `refuse`, press Cancel in
    place of Approve. `narrate` gets a sentence about each page, never a secret. Raises
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
    """Fill in the form for sign-in or consent; return its address and data, or None."""
    form = _FORM.search(page.text)
    if form is None:
        return None
    key, action, content = form.groups()
    fields = [
        (name, html.unescape(value))
        for pattern in (_HIDDEN, _FIRST_OPTION)
        for name, value in pattern.findall(content)
    ]
    if key == "consent":
        fields.append(("decision", "cancel" if refuse else "approve"))
    else:
        for name, value, text in _BUTTON.findall(content):
            if account is None or html.escape(account) in text:
                fields.append((name, value))
                break
        else:
            raise VisitStopped(f"The sign-in page has no account with the name {account!r}.")
    return urljoin(page.url, action), fields


def _without_query(url: str) -> str:
    target = urlsplit(url)
    return f"{target.scheme}://{target.netloc}{target.path}"


def scripted_browser_command(python: str = sys.executable, *, platform: str = sys.platform) -> str:
    """Return the command that runs this browser, as a value of BROWSER or of --browser."""
    words = [python, "-P", "-m", "soe_auth.sandbox.scripted_browser"]
    return list2cmdline(words) if platform == "win32" else shlex.join(words)


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
