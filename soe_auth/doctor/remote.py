"""What stands between here and the site, and whether the site is what it should be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from soe_auth.doctor.finding import Finding, error, from_error, ok, warning
from soe_auth.errors import LoginError, NetworkError, ServerError, SettingsError, SoeAuthError
from soe_auth.loopback.sockets import lookup_addresses
from soe_auth.model.duration import in_words
from soe_auth.model.network import Network
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.site_client.client import FIRST_LOOK, WHO_AM_I, connect, is_refused
from soe_auth.site_client.event_loop import run_async
from soe_auth.site_client.proxy_lookup import proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from soe_auth.model.network import Proxy
    from soe_auth.settings.settings import Settings
    from soe_auth.site_client.transport import ResponseHead

_AUTHORIZE = "/oauth"
_NOT_THERE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}
_REDIRECTIONS, _TROUBLE = range(300, 400), frozenset(range(500, 600))

# Seconds between the two clocks: the site's word has whole seconds, and takes some to arrive.
_ODD, _WRONG = 60.0, 300.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What the site answered to who has no token, at its API and where a login begins.

    `ahead` is how many seconds our clock is ahead of its own; None where it told no time.
    """

    api: ResponseHead
    authorize: ResponseHead
    ahead: float | None


def look_at_http_client() -> Iterator[Finding]:
    """Make a request to a port of this machine that answers none; say what httpx lacks for it."""

    async def ask() -> None:
        nowhere = Site.parse("http://127.0.0.1:1")
        async with connect(nowhere, FIRST_LOOK, network=Network()) as connection:
            await connection.fetch_head(WHO_AM_I)

    try:
        with suppress(NetworkError):
            run_async(ask())
    except (ImportError, AttributeError, TypeError) as problem:
        yield error(
            "versions",
            SoeAuthError,
            f"httpx is not one that soe-auth can use: {printable(str(problem))}",
            "Install soe-auth again, with the versions that it asks for.",
        )


def look_at_site(
    settings: Settings, environ: Mapping[str, str], now: Callable[[], float]
) -> Iterator[Finding]:
    """Ask the site, if there is one that may be asked: proxy, name, connection, clock, answers."""
    site = settings.site
    if site is None:
        return
    if settings.doubt:
        yield warning(
            "site",
            f"{site} was not asked anything: {settings.doubt}, and you have not agreed to it",
            f"If you trust it, name it yourself: `soe-auth doctor --site {site}`."
            if settings.only_project
            else "See that its name is right. If you trust it, add it to trusted_sites:"
            " `soe-auth config edit`.",
        )
        return
    try:
        proxy = proxy_for(site, settings.network)
    except NetworkError as problem:
        yield from_error("proxy", problem)
        return
    yield check_proxy(settings, proxy, environ)
    name = look_at_name(site, behind_proxy=proxy is not None)
    yield name
    if name.verdict == "error":
        return
    try:
        sight = run_async(_look(site, settings.network, now))
    except SoeAuthError as problem:
        yield from_error("connection", problem)
        return
    yield check_connection(site, sight.api)
    yield check_clock(sight.ahead)
    yield check_answers(site, sight)
    if settings.client_id:
        with suppress(SoeAuthError):  # it has just answered, or that was told
            yield check_registration(settings, is_refused=run_async(is_refused(settings)))


def check_registration(settings: Settings, *, is_refused: bool) -> Finding:
    """Say whether the site refuses the client ID with this redirect URI before a sign-in."""
    site, client_id = settings.require_site_and_client
    asked = f"client ID {client_id} with {settings.redirect_uri}"
    if not is_refused:
        said = f"{site.authority} does not refuse {asked}; more is known after a sign-in only"
        return ok("registration", said)
    host = urlsplit(settings.redirect_uri).netloc
    needed = settings.redirect_host if settings.redirect == "loopback" else host
    return error(
        "registration",
        LoginError,
        f"{site.authority} refuses {asked}",
        f"See that the application's Client ID is {client_id} and its Domain {needed}, on the"
        " site's page; with the site's own Domain, add --redirect login_success.",
    )


def check_proxy(settings: Settings, proxy: Proxy | None, environ: Mapping[str, str]) -> Finding:
    """Say which proxy the site is reached by, without its password, and who chose it."""
    if proxy is None:
        return ok("proxy", "none for this site")
    if settings.proxy is None:
        variables = [f"{kind}_proxy" for kind in ("https", "all")]
        named = (name for v in variables for name in (v, v.upper()) if environ.get(name))
        origin = next(named, "the system's settings")
    else:
        origin = settings.place("proxy")
    login = ", with a login" if proxy.authorization else ""
    return ok("proxy", f"{proxy}{login} (from {origin}); none for the loopback")


def look_at_name(site: Site, *, behind_proxy: bool) -> Finding:
    """Look up the site's host name."""
    try:
        addresses = lookup_addresses(site.host, site.connect_port)
    except OSError as problem:
        said = f"{site.host} is not known: {printable(problem.strerror or str(problem))}"
        if behind_proxy:
            return ok("DNS", f"{said}; the proxy has to know it")
        todo = "See that there is a network, and the name is right; some are known in a VPN only."
        return error("DNS", NetworkError, said, todo)
    return ok("DNS", f"{site.host} is {', '.join(addresses[:4])}")


def check_connection(site: Site, answer: ResponseHead) -> Finding:
    """Say how an answer came here."""
    if site.scheme == "http":
        return ok("connection", f"{site.authority} answers, without TLS, on the loopback")
    issued = f", issued by {answer.issuer}" if answer.issuer else ""
    return ok("connection", f"{site.authority} answers; its certificate is trusted{issued}")


def check_clock(ahead: float | None) -> Finding:
    """Say whether our clock agrees with the site's, as a token's life is reckoned by ours."""
    if ahead is None:
        return warning(
            "clock", "the site did not tell the time, so there is nothing to compare with"
        )
    if abs(ahead) <= _ODD:
        return ok("clock", "agrees with the site's to within a minute")
    said = f"{in_words(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the site's"
    todo = "Set this machine's clock: the life of a token is reckoned by it."
    if abs(ahead) <= _WRONG:
        return warning("clock", said, todo)
    return error("clock", SettingsError, said, todo)


def check_answers(site: Site, sight: Sight) -> Finding:
    """Say whether these are the answers of an SOE, as far as anybody knows them.

    Its API turns away who has no token, and a login begins at /oauth.
    """
    api, authorize = sight.api, sight.authorize
    came = f"HTTP {api.status} from its API, {authorize.status} from {_AUTHORIZE}"
    if {api.status, authorize.status} & _TROUBLE:
        return warning("site", f"{site} is in trouble: {came}", "Try again later.")
    if api.status in _REDIRECTIONS:
        return warning(
            "site",
            f"{site} sends who asks its API to {_host_in(api.location) or 'a page of its own'}",
            "If a sign-in of your company stands before the site, programs do not pass it: ask for"
            " /api and /oauth/access_token to be let through.",
        )
    if api.status == HTTPStatus.FORBIDDEN and not api.is_json:
        return warning(
            "site",
            f"{site} refuses to be asked from here: {came}",
            "Something before the site may know machines by their address: ask who runs it.",
        )
    if api.requires_token and authorize.status not in _NOT_THERE:
        return ok("site", f"{site} answers as an SOE does: {came}")
    return error(
        "site",
        ServerError,
        f"{site} does not answer as an SOE does: {came}",
        "See that the site's name is right: open it in a browser.",
    )


async def _look(site: Site, network: Network, now: Callable[[], float]) -> Sight:
    async with connect(site, FIRST_LOOK, network=network) as connection:
        before = now()
        api = await connection.fetch_head(WHO_AM_I)
        ahead = _ahead(api.date, (before + now()) / 2)
        return Sight(api, await connection.fetch_head(_AUTHORIZE), ahead)


def _host_in(location: str) -> str:
    try:
        return printable(urlsplit(location).hostname or "", 80)
    except ValueError:
        return ""


def _ahead(date: str | None, here: float) -> float | None:
    try:
        return here - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None
