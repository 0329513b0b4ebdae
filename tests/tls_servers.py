"""Certificates, servers and a proxy for the tests of the calls to the site."""

import asyncio
import os
import ssl
import warnings
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from traceback import TracebackException

import pytest
import trustme
from wine import UNDER_WINE

import soe_auth
from soe_auth import Site

needs_roots = pytest.mark.skipif(UNDER_WINE, reason="Wine 8 trusts a chain without a known root")

PACKAGE = Path(soe_auth.__file__).parent
NOW = datetime.now(UTC)
DAY = timedelta(days=1)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Draws:
    """Entropy that records its output: the secrets that nothing may show."""

    secrets: list[str] = field(default_factory=list)

    def __call__(self, size: int) -> bytes:
        data = os.urandom(size)
        if size >= 32:
            # The middle: the sandbox writes other characters around it.
            self.secrets.append(urlsafe_b64encode(data).decode()[11:29])
        return data

    def found_in(self, text: str) -> list[str]:
        return [secret for secret in self.secrets if secret in text]


def shown_by_a_tool_that_prints_locals(error: BaseException) -> str:
    """Return the frames of soe_auth in an error's traceback, with their local variables.

    Tests and libraries are left out, as they have to hold the secrets. A `__context__` counts if
    Python itself would print it: not after `raise … from None`.
    """
    shown = []
    cause: TracebackException | None = TracebackException.from_exception(error, capture_locals=True)
    while cause:
        shown += [
            f"{frame.name}: {frame.locals}"
            for frame in cause.stack
            if Path(frame.filename).is_relative_to(PACKAGE)
        ]
        shown += cause.format_exception_only()
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(shown)


# A browser as in a company: with its proxy and its CA, but without the proxy for the loopback.
BROWSER_BEHIND_A_PROXY = """
import html, re, ssl, sys
import httpx
ca, proxy, address = sys.argv[1:]
known = ssl.create_default_context(cafile=ca)
by_proxy = httpx.HTTPTransport(proxy=proxy, verify=known)
with httpx.Client(
    mounts={"https://": by_proxy}, trust_env=False, follow_redirects=True, timeout=20
) as browser:
    page = browser.get(address)
    for button in ({"account": "1"}, {"decision": "approve"}):
        hidden = re.findall(r'type="hidden" name="(\\w+)" value="([^"]*)"', page.text)
        (action,) = re.findall(r'method="post" action="([^"]+)"', page.text)
        form = {key: html.unescape(value) for key, value in hidden} | button
        page = browser.post(page.url.join(action), data=form)
"""


# --- certificates ---


def tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def tls_of_yesterday(ca: trustme.CA) -> ssl.SSLContext:
    return tls(ca.issue_cert("localhost", not_before=NOW - 2 * DAY, not_after=NOW - DAY))


def tls_of_tomorrow(ca: trustme.CA) -> ssl.SSLContext:
    return tls(ca.issue_cert("localhost", not_before=NOW + DAY, not_after=NOW + 2 * DAY))


def tls_signed_by_itself(folder: Path) -> ssl.SSLContext:
    ca, file = trustme.CA(), folder / "self-signed.pem"
    file.write_bytes(ca.private_key_pem.bytes() + ca.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def before_1_2(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a server or a client speak TLS 1.1 at most."""
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL itself would not speak it otherwise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


# --- servers ---


@asynccontextmanager
async def served(handle: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a port of 127.0.0.1, and wait at the end for every connection to end."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await handle(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async with await asyncio.start_server(run, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


@asynccontextmanager
async def always_answering(answer: bytes) -> AsyncIterator[Site]:
    """A site that sends the same bytes to every request and closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with served(handle) as port:
        yield Site.parse(f"http://127.0.0.1:{port}")


def http(status: int, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@dataclass(frozen=True)
class Proxy:
    """A forwarding proxy: the head of each request, and what it read in intercepted TLS."""

    port: int
    requests: list[bytes]
    read: bytearray


PROXY_LOGIN_REQUIRED = http(407, b"", b'Proxy-Authenticate: Basic realm="acme"')


@asynccontextmanager
async def forwarding(
    refusal: bytes = b"",
    context: ssl.SSLContext | None = None,
    *,
    login: str = "",
    inspecting: trustme.CA | None = None,
) -> AsyncIterator[Proxy]:
    """A proxy that connects every name to this machine, or answers CONNECT with a refusal.

    It may require a `user:password`. With `inspecting`, it intercepts TLS with certificates of that
    CA, records what it reads, and trusts every site.
    """
    requests: list[bytes] = []
    read = bytearray()
    certificate = cache(inspecting.issue_cert) if inspecting else None

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if refusal or (login and _basic(login) not in requests[-1].split(b"\r\n")):
            writer.write(refusal or PROXY_LOGIN_REQUIRED)
            return
        host, _, port = requests[-1].split()[1].decode().rpartition(":")
        to_its_site = trusting_context() if certificate else None
        from_site, to_site = await asyncio.open_connection("127.0.0.1", int(port), ssl=to_its_site)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            if certificate:
                await writer.start_tls(tls(certificate(host)))
            recorded = read if certificate else bytearray()
            await asyncio.gather(
                copy(reader, to_site, recorded), copy(from_site, writer, bytearray())
            )
        finally:
            to_site.close()

    async def copy(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, recorded: bytearray
    ) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await source.read(2**16):
                recorded += data
                target.write(data)
                await target.drain()
        target.close()

    async with served(connect, context) as port:
        yield Proxy(port, requests, read)


def _basic(login: str) -> bytes:
    return b"Proxy-Authorization: Basic " + b64encode(login.encode())


def trusting_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
