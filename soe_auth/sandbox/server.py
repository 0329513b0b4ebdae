"""The sandbox: a site on loopback that runs until it is closed, also in a thread."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self, TypedDict, Unpack

from aiohttp import web

from soe_auth.sandbox import pages
from soe_auth.sandbox.api_routes import ApiRoutes
from soe_auth.sandbox.applications import (
    DEFAULT_ACCOUNTS,
    DEFAULT_APPLICATIONS,
    DEFAULT_TEAMS,
    OWN_DOMAIN,
    Account,
    Application,
    DomainRule,
    has_top_level_domain,
)
from soe_auth.sandbox.browser_routes import BrowserRoutes
from soe_auth.sandbox.browser_sessions import BrowserSessions
from soe_auth.sandbox.form_parsing import MAX_BODY
from soe_auth.sandbox.middleware import add_headers, make_guard
from soe_auth.sandbox.quirks import Quirks
from soe_auth.sandbox.site_state import Exchange, SiteState
from soe_auth.sandbox.sockets import bind_loopback
from soe_auth.sandbox.token_issuer import TokenIssuer
from soe_auth.sandbox.token_routes import TokenRoutes

_SHUTDOWN_TIMEOUT: Final = 0.1
"""Seconds that an open request may delay the end of the site."""

_MAX_HEADER: Final = 128 * 1024
"""Bytes: browsers send the cookies of all ports of localhost."""


def _ignore(_sentence: str) -> None:
    """Narrate nothing."""


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """A practice site, which runs in an `async with`.

    `port` 0 lets the system choose. `host` is the name in its URL; it listens on loopback only.
    `teams` are the slugs of private teams. With the `domain_rule` "tld", a Domain without a
    top-level domain is replaced by an empty one. Unless `strict`, the site accepts what a real
    one accepts from clients that do not follow the vendor's guide, and narrates a warning.
    `lifetime` of a token is in seconds. `clock` returns seconds since the epoch, `entropy(n)` n
    random bytes. `narrate` gets a sentence about each event, never a secret. With `ssl_context` the
    site uses TLS; with `tls`, it makes a certificate, whose CA is in `ca_file` while it runs.
    `quirks` may be replaced while it runs. `exchanges` lists the requests to the token endpoint.
    `end_tokens` may be called from any thread. Raises ValueError if two applications or two
    accounts have the same ID. Entering raises OSError if the port is in use, and ImportError for
    `tls` without the library trustme.
    """

    port: int = 0
    host: str = "localhost"
    applications: Sequence[Application] = DEFAULT_APPLICATIONS
    accounts: Sequence[Account] = DEFAULT_ACCOUNTS
    teams: Sequence[str] = DEFAULT_TEAMS
    domain_rule: DomainRule = "any"
    strict: bool = False
    lifetime: int = 86400
    quirks: Quirks = field(default_factory=Quirks)
    clock: Callable[[], float] = time.time
    entropy: Callable[[int], bytes] = os.urandom
    narrate: Callable[[str], None] = _ignore
    ssl_context: ssl.SSLContext | None = None
    tls: bool = False
    ca_file: Path | None = field(init=False, default=None)
    exchanges: list[Exchange] = field(init=False, default_factory=list)
    _issuer: TokenIssuer = field(init=False, repr=False)
    _closing: asyncio.Event = field(init=False, repr=False, default_factory=asyncio.Event)
    _directory: ExitStack = field(init=False, repr=False, default_factory=ExitStack)
    _runner: web.AppRunner | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self._issuer = TokenIssuer(clock=self.clock, entropy=self.entropy, lifetime=self.lifetime)
        for ids in (
            [application.client_id for application in self.applications],
            [account.id for account in self.accounts],
        ):
            if len(set(ids)) < len(ids):
                raise ValueError(f"an ID appears twice among {ids}")

    @property
    def url(self) -> str:
        """The site's base URL, without a slash at its end."""
        scheme = "https" if self.ssl_context else "http"
        return f"{scheme}://{self.host}:{self.port}"

    @property
    def login_command(self) -> str:
        """The command that signs in here."""
        return pages.login_command(self.url, map(self._with_domain, self.applications))

    def end_tokens(self) -> None:
        """Revoke all tokens, as an administrator of the site can."""
        self._issuer.revoke_all()

    async def __aenter__(self) -> Self:
        """Bind the sockets and start to answer; set `port` to the real one."""
        with ExitStack() as on_failure:
            on_failure.callback(self._directory.close)
            if self.tls:
                self._make_certificate()
            sockets = bind_loopback(self.port)
            on_failure.pop_all()
        self.port = sockets[0].getsockname()[1]
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,  # it would contain codes and tokens
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        await self._runner.setup()
        for sock in sockets:
            await web.SockSite(self._runner, sock, ssl_context=self.ssl_context).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close at once, even if requests are open."""
        self._closing.set()
        if self._runner:
            await self._runner.cleanup()
        self._directory.close()

    def _make_certificate(self) -> None:
        import trustme

        ca = trustme.CA(organization_name="soe-auth sandbox")
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = dict.fromkeys((self.host, "localhost", "127.0.0.1", "::1"))
        ca.issue_cert(*names).configure_cert(self.ssl_context)
        directory = TemporaryDirectory(prefix="soe-auth-sandbox-")
        self.ca_file = Path(self._directory.enter_context(directory)) / "ca.pem"
        ca.cert_pem.write_to_path(self.ca_file)  # the CA's key is not stored

    def _application(self) -> web.Application:
        state = SiteState(
            url=self.url,
            host=self.host,
            port=self.port,
            strict=self.strict,
            lifetime=self.lifetime,
            applications={each.client_id: self._with_domain(each) for each in self.applications},
            accounts={account.id: account for account in self.accounts},
            teams=self.teams,
            issuer=self._issuer,
            sessions=BrowserSessions(self.entropy),
            exchanges=self.exchanges,
            quirks=lambda: self.quirks,
            narrate=self.narrate,
            closing=self._closing,
        )
        application = web.Application(middlewares=[make_guard(state)], client_max_size=MAX_BODY)
        application.on_response_prepare.append(add_headers)
        for routes in (BrowserRoutes(state), TokenRoutes(state), ApiRoutes(state)):
            application.add_routes(routes.table())
        return application

    def _with_domain(self, application: Application) -> Application:
        if application.domain == OWN_DOMAIN:
            return replace(application, domain=f"{self.host}:{self.port}")
        if self.domain_rule == "tld" and not has_top_level_domain(application.domain):
            return replace(application, domain="")
        return application


class SandboxSettings(TypedDict, total=False):
    """The arguments of `Sandbox`."""

    port: int
    host: str
    applications: Sequence[Application]
    accounts: Sequence[Account]
    teams: Sequence[str]
    domain_rule: DomainRule
    strict: bool
    lifetime: int
    quirks: Quirks
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    narrate: Callable[[str], None]
    ssl_context: ssl.SSLContext | None
    tls: bool


@contextmanager
def running(**settings: Unpack[SandboxSettings]) -> Iterator[Sandbox]:
    """Run a `Sandbox` in a thread with an event loop; both end with the `with`.

    Takes the arguments of `Sandbox` and raises what entering it raises. `clock`, `entropy` and
    `narrate` are called in that thread.
    """
    site = Sandbox(**settings)
    stop = asyncio.Event()
    started: Future[asyncio.AbstractEventLoop] = Future()

    async def serve() -> None:
        async with site:
            started.set_result(asyncio.get_running_loop())
            await stop.wait()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="soe-sandbox") as thread:
        serving = thread.submit(lambda: asyncio.run(serve()))
        either: list[Future[Any]] = [serving, started]
        wait(either, return_when=FIRST_COMPLETED)
        if not started.done():
            serving.result()  # raises the error of its start
        try:
            yield site
        finally:
            started.result().call_soon_threadsafe(stop.set)
            serving.result()
