"""Make the pages of a login: one template, every value escaped, nothing external loaded."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Literal

from soe_auth.model.text import printable
from soe_auth.oauth.callback_check import LAUNCH_REFUSED, TOO_LARGE, Stray

_HERE = files(__name__.rpartition(".")[0])  # may be in a zip
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_TEMPLATE = Template((_HERE / "page_template.html").read_text(encoding="utf-8"))
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

# The terminal shows the same sentences, in which backticks mark what to type.
_IN_BACKTICKS = re.compile("`([^`]*)`")
_SIGNS = {"ok": "✓", "error": "!", "warning": "?"}

# RFC 9700 section 4.2.4 (nothing from outside, no referrer) and 4.16 (no framing).
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "soe-auth",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Page:
    """An answer to the browser: HTTP status and HTML."""

    status: int
    html: str


def signed_in(site: str, account: str | None, expiry: str, project: str = "") -> Page:
    """Make the page of a login that succeeded; `expiry` is a phrase such as "until Tue 09:12".

    `project` is a sentence on what a project file requested: a hook's stderr is often hidden.
    """
    title = f"Signed in as {account}" if account else "Signed in"
    text = f"soe-auth has a token for {site} on this computer, valid {expiry}. {project}"
    return _page("ok", title, text, "You can close this window and return to the terminal.")


def not_signed_in(reason: str, hint: str) -> Page:
    """Make the page of a login that ended without a token."""
    return _page("error", "Not signed in", reason, hint)


def stray(reason: Stray) -> Page:
    """Make the answer to any other request, without details of the login."""
    if reason == LAUNCH_REFUSED:
        title = "Open the other address"
        text = "This browser belongs to another user of this computer."
        todo = "If you are signing in, open the address that the terminal shows now."
    elif reason == TOO_LARGE:
        title = "Too many cookies"
        text = "Your browser sent more cookies to this address than soe-auth accepts."
        todo = "Delete the browser's cookies for this address, then reload this page."
    else:
        title = "This page has expired"
        text = "soe-auth uses this address for one login, and this request does not belong to it."
        todo = "If you are signing in, use the newest tab that soe-auth opened."
    return _page("warning", title, text, todo, reason.status)


def _page(
    tone: Literal["ok", "error", "warning"], title: str, text: str, todo: str, status: int = 200
) -> Page:
    shown = {
        name: _IN_BACKTICKS.sub(r"<code>\1</code>", escape(printable(value, 400)))
        for name, value in {"title": title, "text": text, "todo": todo}.items()
    }
    html = _TEMPLATE.substitute(shown, tone=tone, sign=_SIGNS[tone], style=_STYLE)
    return Page(status, html)
