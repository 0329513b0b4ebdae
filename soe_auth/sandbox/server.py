"""The site itself: registered, bound to loopback, answering until it is closed."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from soe_auth.sandbox import pages
from soe_auth.sandbox.api_routes import ApiRoutes
from soe_auth.sandbox.browser_routes import BrowserRoutes
from soe_auth.sandbox.context import Context, Exchange
from soe_auth.sandbox.form_parsing import FORM_LIMIT
from soe_auth.sandbox.grants import Grants
from soe_auth.sandbox.middleware import add_headers, guarded_by
from soe_auth.sandbox.quirks import Quirks
from soe_auth.sandbox.redirect_uri import DomainRule, is_under_tld
from soe_auth.sandbox.registry import (
    DEFAULT_ACCOUNTS,
    DEFAULT_APPLICATIONS,
    DEFAULT_TEAMS,
    OWN_DOMAIN,
    Account,
    Application,
)
from soe_auth.sandbox.sessions import Sessions
from soe_auth.sandbox.sockets import bind_loopback
from soe_auth.sandbox.token_routes import TokenRoutes

_PATIENCE: Final = 0.1
"""Seconds a request under way may hold up the end of the site."""


_LARGEST_FIELD: Final = 128 * 1024
"""Bytes of a header field: browsers send the cookies of every port of localhost."""


def _silent(_sentence: str) -> None:
    """Narrate nothing."""


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """A practice site, running between the beginning and the end of an `async with`.

    `port` 0 lets the system choose. `host` is the name in its URL; it listens on loopback whatever
    that is. `teams` are the slugs of private teams. With the `domain_rule` "tld" the form refuses a
    Domain without a top-level domain, and leaves it empty. Unless it is `strict`, the site takes
    what a real one takes of clients that do not follow the vendor's guide, and narrates it.
    `lifetime` is a token's life in seconds. `clock` tells seconds since the epoch, `entropy` makes
    that many random bytes, `narrate` is told one sentence at a time what happens and never a
    secret. With `ssl_context` the site speaks TLS; with `tls` it does so with a certificate of its
    own, whose CA is in `ca_file` while it runs. `quirks` may be replaced while it runs;
    `exchanges` lists what the token endpoint was sent; `end_tokens` may be called from any thread.
    Raises ValueError where two applications or two accounts share an ID; entering raises OSError
    where the port is taken, and ImportError for `tls` without the library trustme.
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
    narrate: Callable[[str], None] = _silent
    ssl_context: ssl.SSLContext | None = None
    tls: bool = False
    ca_file: Path | None = field(init=False, default=None)
    exchanges: list[Exchange] = field(init=False, default_factory=list)
    _grants: Grants = field(init=False, repr=False)
    _closing: asyncio.Event = field(init=False, repr=False, default_factory=asyncio.Event)
    _directory: ExitStack = field(init=False, repr=False, default_factory=ExitStack)
    _runner: web.AppRunner | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Hold the registry to one entry per ID."""
        self._grants = Grants(clock=self.clock, entropy=self.entropy, lifetime=self.lifetime)
        for keys in (
            [application.client_id for application in self.applications],
            [account.id for account in self.accounts],
        ):
            if len(set(keys)) < len(keys):
                raise ValueError(f"an ID is given twice among {keys}")

    @property
    def url(self) -> str:
        """The site's base URL, without a slash at its end."""
        scheme = "https" if self.ssl_context else "http"
        return f"{scheme}://{self.host}:{self.port}"

    @property
    def login_command(self) -> str:
        """The command that signs in here."""
        return pages.login_command(self.url, map(self._settled, self.applications))

    def end_tokens(self) -> None:
        """End every token that was given out, as an administrator of the site would."""
        self._grants.end_all()

    async def __aenter__(self) -> Self:
        """Bind the sockets and begin to answer; from then on `port` is the true one."""
        with ExitStack() as on_failure:
            on_failure.callback(self._directory.close)
            if self.tls:
                self._make_certificate()
            sockets = bind_loopback(self.port)
            on_failure.pop_all()
        self.port = sockets[0].getsockname()[1]
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,  # it would tell codes and tokens
            handler_cancellation=True,
            shutdown_timeout=_PATIENCE,
            max_line_size=_LARGEST_FIELD,
            max_field_size=_LARGEST_FIELD,
        )
        await self._runner.setup()
        for sock in sockets:
            await web.SockSite(self._runner, sock, ssl_context=self.ssl_context).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close at once, whatever answers are still open."""
        self._closing.set()
        if self._runner:
            await self._runner.cleanup()
        self._directory.close()

    def _make_certificate(self) -> None:
        """Have the site's certificate issued by a CA whose key is forgotten at once."""
        import trustme

        ca = trustme.CA(organization_name="soe-auth sandbox")
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = dict.fromkeys((self.host, "localhost", "127.0.0.1", "::1"))
        ca.issue_cert(*names).configure_cert(self.ssl_context)
        directory = TemporaryDirectory(prefix="soe-auth-sandbox-")
        self.ca_file = Path(self._directory.enter_context(directory)) / "ca.pem"
        ca.cert_pem.write_to_path(self.ca_file)

    def _application(self) -> web.Application:
        context = Context(
            url=self.url,
            host=self.host,
            port=self.port,
            strict=self.strict,
            lifetime=self.lifetime,
            applications={
                application.client_id: self._settled(application)
                for application in self.applications
            },
            teams=self.teams,
            accounts={account.id: account for account in self.accounts},
            grants=self._grants,
            sessions=Sessions(self.entropy),
            exchanges=self.exchanges,
            quirks=lambda: self.quirks,
            narrate=self.narrate,
            closing=self._closing,
        )
        application = web.Application(middlewares=[guarded_by(context)], client_max_size=FORM_LIMIT)
        application.on_response_prepare.append(add_headers)
        application.add_routes(
            [
                *BrowserRoutes(context, is_secure=self.ssl_context is not None).table(),
                *TokenRoutes(context).table(),
                *ApiRoutes(context).table(),
            ]
        )
        return application

    def _settled(self, application: Application) -> Application:
        if application.domain == OWN_DOMAIN:
            return replace(application, domain=f"{self.host}:{self.port}")
        if self.domain_rule == "tld" and not is_under_tld(application.domain):
            return replace(application, domain="")
        return application
