"""Checks of the connection to the site, and of the site itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from soe_auth.doctor.certificate import find_issuer
from soe_auth.doctor.finding import Finding, from_error
from soe_auth.errors import LoginError, NetworkError, ServerError, SettingsError, SoeAuthError
from soe_auth.loopback.sockets import lookup_addresses
from soe_auth.model.duration import in_words
from soe_auth.model.network import Network, Proxy
from soe_auth.model.site import Site
from soe_auth.model.text import printable
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.settings.settings import Settings
from soe_auth.site_client.client import ONE_ATTEMPT, WHO_AM_I, connect, is_refused
from soe_auth.site_client.event_loop import run_async
from soe_auth.site_client.proxy_lookup import proxy_for
from soe_auth.site_client.tls import ssl_context

_AUTHORIZE = "/oauth"
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}

# Seconds between the two clocks. The site's Date header has whole seconds, and arrives late.
_CLOCK_WARNING, _CLOCK_ERROR = 60.0, 300.0


def check_http_client() -> Iterator[Finding]:
    """Send a request to a closed port of this machine, to check that httpx is compatible."""

    async def send() -> None:
        closed = Site.parse("http://127.0.0.1:1")
        async with connect(closed, ONE_ATTEMPT, network=Network()) as connection:
            await connection.fetch_head(WHO_AM_I)

    try:
        with suppress(NetworkError):
            run_async(send())
    except (ImportError, AttributeError, TypeError) as problem:
        says = f"cannot use this version of httpx: {printable(str(problem))}"
        todo = "Install soe-auth again, with the versions that it requires."
        yield Finding("versions", "error", says, todo, SoeAuthError)


def check_site(
    settings: Settings, environ: Mapping[str, str], now: Callable[[], float]
) -> Iterator[Finding]:
    """Check proxy, DNS, connection, clock, responses and registration, unless there is no site."""
    site = settings.site
    if site is None:
        return
    if settings.doubt:
        untrusted = settings.untrusted_site("soe-auth doctor")
        yield Finding("site", "warning", f"not contacted: {untrusted}", untrusted.hint)
        return
    try:
        proxy = proxy_for(site, settings.network)
    except NetworkError as problem:
        yield from_error("proxy", problem)
        return
    yield proxy_finding(settings, proxy, environ)
    dns = _dns_finding(site, behind_proxy=proxy is not None)
    yield dns
    if dns.verdict == "error":
        return
    try:
        api, authorize, ahead = run_async(_fetch(site, settings.network, now))
    except SoeAuthError as problem:
        finding = from_error("connection", problem)
        if issuer := _issuer(site, settings.network, proxy):
            says = f"{finding.says} The certificate's issuer is “{issuer}”."
            finding = replace(finding, says=says)
        yield finding
        return
    tls = "without TLS, on loopback"
    if site.scheme == "https":
        issuer = _issuer(site, settings.network, proxy)
        tls = f"with a trusted certificate{f', issued by {issuer}' if issuer else ''}"
    yield Finding("connection", "ok", f"{site.authority} answers {tls}")
    yield _clock_finding(ahead)
    yield _site_finding(site, api, authorize)
    if settings.client_id:
        with suppress(SoeAuthError):  # the connection's problems have been reported
            yield _registration_finding(settings, refused=run_async(is_refused(settings)))


def _issuer(site: Site, network: Network, proxy: Proxy | None) -> str | None:
    """Return the issuer of the site's certificate; None if it cannot be found."""
    if site.scheme == "http":
        return None
    try:
        tls = ssl_context(network)
    except SettingsError:
        return None
    return run_async(find_issuer(site.host, site.connect_port, proxy=proxy, tls=tls))


def proxy_finding(settings: Settings, proxy: Proxy | None, environ: Mapping[str, str]) -> Finding:
    """Report the proxy for the site, without its password, and its origin."""
    if proxy is None:
        return Finding("proxy", "ok", "none for this site")
    if settings.proxy is None:
        names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        origin = next(filter(environ.get, names), "the system's settings")
    else:
        origin = settings.place("proxy")
    login = ", with a login" if proxy.authorization else ""
    return Finding("proxy", "ok", f"{proxy}{login} (from {origin}); not used for loopback")


def _dns_finding(site: Site, *, behind_proxy: bool) -> Finding:
    try:
        addresses = lookup_addresses(site.host, site.connect_port)
    except OSError as problem:
        says = f"cannot resolve {site.host}: {printable(problem.strerror or str(problem))}"
        if behind_proxy:
            return Finding("DNS", "ok", f"{says}; the proxy resolves it")
        todo = "Check the network and the site's name. Some names resolve in a VPN only."
        return Finding("DNS", "error", says, todo, NetworkError)
    return Finding("DNS", "ok", f"{site.host} resolves to {', '.join(addresses[:4])}")


async def _fetch(
    site: Site, network: Network, now: Callable[[], float]
) -> tuple[SiteResponse, SiteResponse, float | None]:
    """Send two requests without a token, to the API and to the start of a login.

    Also returns how many seconds this machine's clock is ahead; None if the site sent no date.
    """
    async with connect(site, ONE_ATTEMPT, network=network) as connection:
        before = now()
        api = await connection.fetch_head(WHO_AM_I)
        middle = (before + now()) / 2
        try:
            ahead = middle - parsedate_to_datetime(api.header("date")).timestamp()
        except (ValueError, OverflowError):
            ahead = None
        return api, await connection.fetch_head(_AUTHORIZE), ahead


def _clock_finding(ahead: float | None) -> Finding:
    if ahead is None:
        return Finding("clock", "warning", "not compared: the site sent no date")
    if abs(ahead) <= _CLOCK_WARNING:
        return Finding("clock", "ok", "within a minute of the site's")
    says = f"{in_words(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the site's"
    todo = "Set this machine's clock: the expiry of tokens is computed from it."
    if abs(ahead) <= _CLOCK_ERROR:
        return Finding("clock", "warning", says, todo)
    return Finding("clock", "error", says, todo, SettingsError)


def _site_finding(site: Site, api: SiteResponse, authorize: SiteResponse) -> Finding:
    """Report whether both responses are those of an SOE site: its API requires a token."""
    statuses = f"HTTP {api.status} from its API, {authorize.status} from {_AUTHORIZE}"
    if max(api.status, authorize.status) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Finding("site", "warning", f"{site} fails: {statuses}", "Try again later.")
    if api.status in range(300, 400):
        target = _host_in(api.header("location")) or "its own page"
        return Finding(
            "site",
            "warning",
            f"{site} redirects API requests to {target}",
            "If a company sign-in protects the site, ask its administrators to let /api and"
            " /oauth/access_token through.",
        )
    if api.status == HTTPStatus.FORBIDDEN and "json" not in api.header("content-type"):
        return Finding(
            "site",
            "warning",
            f"{site} refuses requests from this machine: {statuses}",
            "A firewall may filter by IP address: ask the site's administrators.",
        )
    if api.requires_token and authorize.status not in _ABSENT:
        return Finding("site", "ok", f"{site} answers like an SOE site: {statuses}")
    return Finding(
        "site",
        "error",
        f"{site} does not answer like an SOE site: {statuses}",
        "Check the site's name: open it in a browser.",
        ServerError,
    )


def _registration_finding(settings: Settings, *, refused: bool) -> Finding:
    """Report whether the site refuses the client ID with this redirect URI."""
    site, client_id = settings.require_site_and_client()
    pair = f"client ID {client_id} with {settings.redirect_uri}"
    if not refused:
        says = f"{site.authority} does not refuse {pair}; only a login is proof"
        return Finding("registration", "ok", says)
    return Finding(
        "registration",
        "error",
        f"{site.authority} refuses {pair}",
        f"On the site's page, check the application: Client ID {client_id}, Domain"
        f" {settings.domain}. If its Domain is the site's own, add `--redirect login_success`.",
        LoginError,
    )


def _host_in(location: str) -> str:
    try:
        return printable(urlsplit(location).hostname or "", 80)
    except ValueError:
        return ""
