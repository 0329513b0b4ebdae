"""What the person sees in the browser: one template, every value escaped, nothing from outside."""

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

_HERE = files(__name__.rpartition(".")[0])  # which may be in a zip
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_TEMPLATE = Template((_HERE / "page.html").read_text(encoding="utf-8"))
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

# The same sentences are told in the terminal, where backticks mark what to type.
_IN_BACKTICKS = re.compile("`([^`]*)`")

Tone = Literal["good", "bad", "odd"]

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


def signed_in(site: str, account: str | None, lasts: str, project: str = "") -> Page:
    """Say who signed in, where, and for how long; `lasts` is a phrase such as "until Tue 09:12".

    `project` is a sentence about what a project file asked for: a hook's stderr is often hidden.
    """
    who = f"Signed in as {account}" if account else "Signed in"
    return _page(
        "good",
        title=who,
        text=f"{site} gave this computer a token that lasts {lasts}. {project}",
        todo="You may close this window and go back to the terminal.",
    )


def not_signed_in(what: str, todo: str) -> Page:
    """Say that the login ended without a token, why, and what to do."""
    return _page("bad", title="Not signed in", text=what, todo=todo)


def stray(status: int) -> Page:
    """Answer a request that is not the redirect, telling it nothing about the login."""
    return _page(
        "odd",
        title="Nothing to see here",
        text="This address waits for one answer from one site, and this request was not it.",
        todo="If you were signing in, go on in the tab that soe-auth opened.",
        status=status,
    )


def too_large() -> Page:
    """Answer a request whose header is too large to be read."""
    return _page(
        "odd",
        title="Too many cookies",
        text="Your browser sent more cookies to this address than soe-auth can take.",
        todo="Delete the browser's cookies for this address, then load this page again.",
        status=431,
    )


def for_another_user() -> Page:
    """Answer a browser that another user of the machine runs, and that may be no stranger's."""
    return _page(
        "odd",
        title="Open the other address",
        text="This browser is run by another user of this computer than soe-auth.",
        todo="If you were signing in, open the address that the terminal shows now.",
        status=403,
    )


def _page(tone: Tone, *, title: str, text: str, todo: str, status: int = 200) -> Page:
    sentences = {"title": title, "text": text, "todo": todo}
    shown = {
        name: _IN_BACKTICKS.sub(r"<code>\1</code>", escape(printable(value, 400)))
        for name, value in sentences.items()
    }
    sign = {"good": "✓", "bad": "!", "odd": "?"}[tone]
    return Page(status, _TEMPLATE.substitute(shown, tone=tone, sign=sign, style=_STYLE))
