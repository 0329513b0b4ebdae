"""The pages of the site, from templates; all values are escaped, nothing external is loaded."""

import base64
import hashlib
import html
from collections.abc import Iterable
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from soe_auth.sandbox.applications import Account, Application
from soe_auth.sandbox.authorization import (
    ACCESS_TEAM,
    NO_EXPIRY,
    ConsentRequest,
    RefusedRequest,
    UntrustedRequest,
)
from soe_auth.sandbox.browser_sessions import BrowserSession

_TEMPLATES: Final = files("soe_auth.sandbox") / "templates"
_MEANINGS: Final = {
    "read": "Read what you can read",
    NO_EXPIRY: "Keep access until it is revoked",
    "write_access": "Write in your name: posts, edits",
    "read_inbox": "Read your inbox and notifications",
    "private_info": "Read private details of your account",
    ACCESS_TEAM: "Use the private team that you select",
}
_UNITS: Final = ((3600, "h"), (60, "min"))


class _Html(str):
    """Text that is HTML already; `_fill` does not escape it again."""

    __slots__ = ()


def _fill(template: str, **values: str) -> _Html:
    text = (_TEMPLATES / template).read_text("utf-8")
    escaped = {
        name: value if isinstance(value, _Html) else html.escape(value)
        for name, value in values.items()
    }
    return _Html(Template(text).substitute(escaped))


def _join(parts: Iterable[_Html]) -> _Html:
    return _Html("".join(parts))


_STYLE: Final = _Html((_TEMPLATES / "style.css").read_text("utf-8"))
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def content_policy(form_action: str = "'none'") -> str:
    """Return a Content-Security-Policy: the page's own style, no scripts, no frames."""
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _page(
    title: str, body: _Html, *, status: int = 200, form_action: str = "'none'", width: str = ""
) -> web.Response:
    return web.Response(
        status=status,
        text=_fill("layout.html", title=title, style=_STYLE, body=body, width=width),
        content_type="text/html",
        headers={"Content-Security-Policy": content_policy(form_action)},
    )


def home(
    site: str, applications: Iterable[Application], session: BrowserSession | None
) -> web.Response:
    """Show the registered applications and a command to sign in."""
    registered = list(applications)
    signed_in = _Html("")
    if session and session.account:
        account = session.account
        signed_in = _fill(
            "signed_in.html", name=account.name, role=account.role, csrf=session.form_token
        )
    rows = _join(
        _fill(
            "application.html",
            client_id=application.client_id,
            name=application.name,
            domain=application.domain or _Html('<span class="quiet">empty</span>'),
            status=application.status.capitalize(),
        )
        for application in registered
    )
    command = login_command(site, registered)
    body = _fill("home.html", command=command, applications=rows, signed_in=signed_in)
    return _page("Welcome", body, form_action="'self'", width="wide")


def login_command(site: str, applications: Iterable[Application]) -> str:
    """Return the command that signs in with the first application that has a Domain."""
    for application in applications:
        if application.domain:
            is_own = site.endswith(f"://{application.domain}")
            redirect = " --redirect login_success" if is_own else ""
            return f"soe-auth login --site {site} --client-id {application.client_id}{redirect}"
    return f"soe-auth login --site {site} --client-id ID"


def sign_in(
    accounts: Iterable[Account],
    session: BrowserSession,
    return_path: str,
    request: ConsentRequest | RefusedRequest | UntrustedRequest,
) -> web.Response:
    """Show the practice accounts; `request` is the authorization request at `return_path`."""
    asking = _Html("")
    if isinstance(request, ConsentRequest):
        asking = _fill("asking.html", application=request.application.name)
    buttons = _join(
        _fill(
            "account.html",
            id=str(account.id),
            initials="".join(word[0] for word in account.name.split()[:2]),
            name=account.name,
            role=account.role,
        )
        for account in accounts
    )
    target = None if isinstance(request, UntrustedRequest) else request.redirect_uri
    body = _fill(
        "sign_in.html",
        asking=asking,
        csrf=session.form_token,
        returnurl=return_path,
        accounts=buttons,
    )
    return _page("Sign in", body, form_action=_form_action(target))


def consent(
    site: str,
    request: ConsentRequest,
    session: BrowserSession,
    account: Account,
    *,
    request_key: str,
    path: str,
    teams: Iterable[str],
    lifetime: int,
) -> web.Response:
    """Show the consent page at `path`; a token's `lifetime` is in seconds."""
    team = _Html("")
    if ACCESS_TEAM in request.scope:
        team = _fill("team.html", options=_join(_fill("option.html", team=slug) for slug in teams))
    expiry = f"The token expires after {describe_duration(lifetime)}."
    origin = "/".join(request.redirect_uri.split("/", 3)[:3])
    body = _fill(
        "consent.html",
        application=request.application.name,
        site=site,
        name=account.name,
        other_account=f"/users/login?returnurl={quote(path, safe='')}",
        origin=origin,
        path=request.redirect_uri.removeprefix(origin),
        scopes=_join(
            _fill("scope.html", name=name, meaning=_MEANINGS[name])
            for name in ("read", *request.scope)
        ),
        expiry="The token never expires." if NO_EXPIRY in request.scope else expiry,
        csrf=session.form_token,
        request=request_key,
        team=team,
    )
    return _page("Approve", body, form_action=_form_action(request.redirect_uri))


def login_success() -> web.Response:
    """Show the page at the address that the user copies; a real site shows the heading only."""
    return _page("Authorizing Application", _fill("login_success.html"))


def message(heading: str, text: str, *, status: int) -> web.Response:
    """Show an error: a heading and a sentence."""
    return _page(heading, _fill("message.html", heading=heading, text=text), status=status)


def _form_action(redirect_uri: str | None) -> str:
    """Return the sources for form-action, which Chromium also applies to redirects after a form."""
    if redirect_uri is None:
        return "'self'"
    target = urlsplit(redirect_uri)
    if "[" in target.netloc:  # CSP has no syntax for an IPv6 host
        return f"'self' {target.scheme}:"
    return f"'self' {target.scheme}://{target.netloc}"


def describe_duration(seconds: int) -> str:
    """Write a duration in its largest whole unit: 86400 is "24 h"."""
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
