"""The pages of the site: templates filled in, everything escaped, nothing from outside."""

import base64
import hashlib
import html
from collections.abc import Iterable
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from soe_auth.sandbox.authorization import ACCESS_TEAM, NO_EXPIRY, Asked
from soe_auth.sandbox.registry import Account, Application
from soe_auth.sandbox.sessions import Session

_TEMPLATES: Final = files("soe_auth.sandbox") / "templates"

_MEANINGS: Final = {
    NO_EXPIRY: "Keep this access until someone revokes it, with no end date",
    "write_access": "Write in your name: ask, answer, comment, vote and edit",
    "read_inbox": "Read your inbox and notifications",
    "private_info": "See details of your account that others cannot see",
    ACCESS_TEAM: "Use the private team that you pick, and nothing outside it",
}

_UNITS: Final = ((3600, "h"), (60, "min"))


class _Html(str):
    """Text that is HTML already, and so is not escaped again."""

    __slots__ = ()


def _fill(template: str, **values: str) -> _Html:
    text = (_TEMPLATES / template).read_text("utf-8")
    return _Html(
        Template(text).substitute(
            {
                name: value if isinstance(value, _Html) else html.escape(value)
                for name, value in values.items()
            }
        )
    )


def _join(parts: Iterable[_Html]) -> _Html:
    return _Html("\n".join(parts))


_STYLE: Final = _Html((_TEMPLATES / "style.css").read_text("utf-8"))
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def content_policy(form_action: str = "'none'") -> str:
    """Make a page's Content-Security-Policy: its own style, no script, no frame around it."""
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _page(
    title: str,
    body: _Html,
    *,
    status: int = 200,
    form_action: str = "'self'",
    width: str = "narrow",
) -> web.Response:
    return web.Response(
        status=status,
        text=_fill("layout.html", title=title, style=_STYLE, body=body, width=width),
        content_type="text/html",
        headers={"Content-Security-Policy": content_policy(form_action)},
    )


def home(site: str, applications: Iterable[Application], session: Session | None) -> web.Response:
    """Show what this is, what is registered, and the command to try."""
    registered = list(applications)
    signed_in = _Html("")
    if session and session.account:
        signed_in = _fill(
            "signed_in.html",
            name=session.account.name,
            role=session.account.role,
            csrf=session.form_token,
        )
    body = _fill(
        "home.html",
        command=login_command(site, registered),
        applications=_join(
            _fill(
                "application.html",
                client_id=application.client_id,
                name=application.name,
                domain=_domain(application),
                status=application.status.capitalize(),
            )
            for application in registered
        ),
        signed_in=signed_in,
    )
    return _page("Welcome", body, width="wide")


def login_command(site: str, applications: Iterable[Application]) -> str:
    """Return the command that signs in by the first application that has a Domain."""
    for application in applications:
        if application.domain:
            is_own = site.endswith(f"://{application.domain}")
            redirect = " --redirect login_success" if is_own else ""
            return f"soe-auth login --site {site} --client-id {application.client_id}{redirect}"
    return f"soe-auth login --site {site} --client-id ID"


def sign_in(
    accounts: Iterable[Account], session: Session, return_path: str, redirect_uri: str | None
) -> web.Response:
    """Offer the practice accounts; `redirect_uri` is where the way may lead on from here."""
    body = _fill(
        "sign_in.html",
        csrf=session.form_token,
        returnurl=return_path,
        accounts=_join(
            _fill(
                "account.html",
                id=str(account.id),
                initials="".join(word[0] for word in account.name.split()[:2]),
                name=account.name,
                role=account.role,
            )
            for account in accounts
        ),
    )
    return _page("Sign in", body, form_action=_form_action(redirect_uri))


def consent(
    site: str,
    asked: Asked,
    account: Account,
    *,
    teams: Iterable[str],
    life: str,
    path: str,
    csrf: str,
    request: str,
) -> web.Response:
    """Ask the person; `path` is the way back here, `request` names the request that is pending."""
    ends = f"The token lasts {life}."
    team = _Html("")
    if ACCESS_TEAM in asked.scope:
        team = _fill("team.html", options=_join(_fill("option.html", team=slug) for slug in teams))
    body = _fill(
        "consent.html",
        application=asked.application.name,
        site=site,
        name=account.name,
        other_account=f"/users/login?returnurl={quote(path, safe='')}",
        target=asked.redirect_uri,
        scopes=_join(
            _fill("scope.html", name=name, meaning=meaning)
            for name, meaning in _explain(asked.scope)
        ),
        life="The token has no end date." if NO_EXPIRY in asked.scope else ends,
        csrf=csrf,
        request=request,
        team=team,
    )
    return _page("Approve", body, form_action=_form_action(asked.redirect_uri))


def login_success() -> web.Response:
    """Show the page that waits for its address to be copied: it says as little as the real one."""
    return _page("Authorizing Application", _fill("login_success.html"), form_action="'none'")


def message(heading: str, text: str, *, status: int) -> web.Response:
    """Show what was wrong: a heading and a sentence."""
    body = _fill("message.html", heading=heading, text=text)
    return _page(heading, body, status=status, form_action="'none'")


def _domain(application: Application) -> _Html:
    if not application.domain:
        return _Html('<span class="quiet">left empty</span>')
    return _fill("domain.html", domain=application.domain)


def _explain(scope: Iterable[str]) -> Iterable[tuple[str, str]]:
    yield "read", "Read what you can read on this site"
    for item in scope:
        yield item, _MEANINGS[item]


def _form_action(redirect_uri: str | None) -> str:
    """Say where a form may lead: Chromium holds the redirects that follow it to this, too."""
    if redirect_uri is None:
        return "'self'"
    target = urlsplit(redirect_uri)
    if "[" in target.netloc:  # CSP has no way to write an IPv6 host
        return f"'self' {target.scheme}:"
    return f"'self' {target.scheme}://{target.netloc}"


def span_in_words(seconds: int) -> str:
    """Write a span of time in its largest even unit: 86400 is "24 h"."""
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
