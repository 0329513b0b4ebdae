"""A person with a browser, for places that have neither.

As a command it is a browser: `python -m soe_auth.sandbox.visitor URL` goes where a person would
be sent, signs in, approves, and is done when the last page is read. It goes to loopback only.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from ssl import SSLContext
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_STEPS: Final = 20
_TIME_LIMIT: Final = aiohttp.ClientTimeout(total=60)


class VisitStopped(Exception):
    """The visitor could not go on; the message is a sentence without a query string in it."""


@dataclass(frozen=True, slots=True)
class VisitedPage:
    """The page a visit ended on; `url` is its full address, and so out of the repr."""

    status: int
    url: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """What the visitor does next: open an address, or send a form to it."""

    url: str
    form: tuple[tuple[str, str], ...] | None = None


@dataclass(slots=True)
class _Form:
    """A form as it stands on a page; buttons are (name, value, text)."""

    key: str
    action: str
    hidden: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


async def visit(
    url: str,
    *,
    account: str | None = None,
    refuse: bool = False,
    narrate: Callable[[str], None] = lambda _sentence: None,
    ssl_context: SSLContext | None = None,
) -> VisitedPage:
    """Open a URL as a person would: follow redirects, sign in, approve, read the last page.

    `account` is the name to sign in with, the first offered if None; with `refuse` the consent
    page is cancelled. `narrate` is told what the visitor does, and never a secret. Raises
    `VisitStopped` where there is no way on, aiohttp.ClientError or TimeoutError where a place
    cannot be reached.
    """
    jar = aiohttp.CookieJar(unsafe=True)  # which is to say: also for 127.0.0.1
    connector = aiohttp.TCPConnector(ssl=ssl_context or True)
    step = _Step(url)
    async with aiohttp.ClientSession(
        cookie_jar=jar, connector=connector, timeout=_TIME_LIMIT
    ) as browser:
        for _ in range(_MOST_STEPS):
            page, location = await _take(browser, step)
            narrate(f"{_shown(page.url)} answered {page.status}.")
            onward = _onward(page, location, account, refuse=refuse)
            if onward is None:
                return page
            step = onward
    raise VisitStopped(f"There was no end to it after {_MOST_STEPS} steps.")


async def _take(browser: aiohttp.ClientSession, step: _Step) -> tuple[VisitedPage, str | None]:
    """Take one step; returns the page, and where it redirects to."""
    target = urlsplit(step.url)
    host = target.hostname or ""
    if host.endswith(".localhost"):  # which browsers take to the loopback by themselves
        host = "localhost"
    if target.scheme not in {"http", "https"} or host not in _LOOPBACK:
        raise VisitStopped("The way leads away from this computer; the visitor stays on it.")
    # Encoded already, by those who made it: nothing is to be made prettier on the way.
    sent_to = target.netloc.replace(target.hostname or "", host)
    address = URL(target._replace(netloc=sent_to, fragment="").geturl(), encoded=True)
    method, body = ("GET", None) if step.form is None else ("POST", urlencode(step.form))
    headers = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
    headers |= {"Host": target.netloc} if sent_to != target.netloc else {}
    async with browser.request(
        method, address, data=body, headers=headers, allow_redirects=False
    ) as response:
        text = await response.text(errors="replace")
        location = response.headers.get("Location") if response.status in _REDIRECTS else None
        return VisitedPage(response.status, step.url, text), location


def _onward(
    page: VisitedPage, location: str | None, account: str | None, *, refuse: bool
) -> _Step | None:
    """Decide as a person would what to do with a page; None where the way ends."""
    if location is not None:
        return _Step(urljoin(page.url, location))
    reader = _PageReader()
    reader.feed(page.text)
    for form in reader.forms:
        match form.key:
            case "sign-in":
                return _press(page, form, _account_button(form, account))
            case "consent":
                wanted = "cancel" if refuse else "approve"
                return _press(page, form, ("decision", wanted))
            case _:
                pass
    return None


def _account_button(form: _Form, account: str | None) -> tuple[str, str]:
    for name, value, text in form.buttons:
        if account is None or account in text:
            return name, value
    raise VisitStopped(f"The sign-in page offers no account by the name of {account!r}.")


def _press(page: VisitedPage, form: _Form, button: tuple[str, str]) -> _Step:
    return _Step(urljoin(page.url, form.action), (*form.hidden, button))


def _shown(url: str) -> str:
    target = urlsplit(url)
    return f"{target.scheme}://{target.netloc}{target.path}"


class _PageReader(HTMLParser):
    """Finds the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._is_in_button = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, a hidden field, what is selected in a list, or a button."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(found.get("id", ""), found.get("action", "")))
        elif self.forms and tag == "input":
            self.forms[-1].hidden.append((found.get("name", ""), found.get("value", "")))
        elif self.forms and tag == "select":
            self._select = found.get("name", "")
        elif self._select and tag == "option":  # a browser has the first one selected
            self.forms[-1].hidden.append((self._select, found.get("value", "")))
            self._select = ""
        elif self.forms and tag == "button":
            self.forms[-1].buttons.append((found.get("name", ""), found.get("value", ""), ""))
            self._is_in_button = True

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a button."""
        if tag == "button":
            self._is_in_button = False

    def handle_data(self, data: str) -> None:
        """Note what is written on a button."""
        if self._is_in_button:
            name, value, text = self.forms[-1].buttons[-1]
            self.forms[-1].buttons[-1] = name, value, text + data


def run_visitor(arguments: Sequence[str] | None = None) -> int:
    """Visit the URL of the command line; returns 0 where the last page is no error page."""
    parser = argparse.ArgumentParser(prog="visitor", description="A browser that practises.")
    parser.add_argument("--account", metavar="NAME", help="the account to sign in with")
    parser.add_argument("--refuse", action="store_true", help="cancel instead of approving")
    parser.add_argument("url", metavar="URL")
    chosen = parser.parse_args(arguments)
    try:
        page = asyncio.run(visit(chosen.url, account=chosen.account, refuse=chosen.refuse))
    except (VisitStopped, aiohttp.ClientError, TimeoutError) as fault:
        sys.stderr.write(f"visitor: {str(fault) or 'no answer in time'}\n")
        return 1
    if page.status >= 400:  # noqa: PLR2004 - the first of HTTP's error statuses
        sys.stderr.write(f"visitor: {_shown(page.url)} answered {page.status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_visitor())
