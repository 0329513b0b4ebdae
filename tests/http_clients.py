"""Servers that record requests, and one function for each HTTP client, for their tests."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import aiohttp
import httpx
import httpx2
import requests
import trustme
from tls_servers import tls

import soe_auth
from soe_auth.python_api.auth import Options


class Received(NamedTuple):
    path: str
    authorization: str | None
    body: bytes


class Reply(NamedTuple):
    status: int = 200
    location: str = ""


@dataclass
class Server:
    """A server on the loopback that records each request, and replies as `answer` decides."""

    context: ssl.SSLContext | None = None
    answer: Callable[[Received], Reply] = lambda _heard: Reply()
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                received = Received(self.path, self.headers.get("Authorization"), body)
                server.received.append(received)
                reply = server.answer(received)
                self.send_response(reply.status)
                if reply.location:
                    self.send_header("Location", reply.location)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_POST(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        self.rfile.read(size + 2)
                    self.rfile.readline()
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        if self.context:
            self.http.socket = self.context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"{'https' if self.context else 'http'}://{host}:{self.port}{path}"

    @property
    def tokens(self) -> list[str | None]:
        return [received.authorization for received in self.received]


@contextmanager
def listening(*servers: Server) -> Iterator[None]:
    threads = [
        threading.Thread(target=server.http.serve_forever, args=(0.01,)) for server in servers
    ]
    for thread in threads:
        thread.start()
    yield
    for server in servers:
        server.http.shutdown()
        server.http.server_close()
    for thread in threads:
        thread.join()


class Answer(NamedTuple):
    status: int
    statuses_before: list[int]


class InMemory:
    """A custom store; it has a length, so that an empty one is false."""

    def __init__(self) -> None:
        self.tokens: dict[str, soe_auth.Token] = {}
        self.blocker: threading.Event | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def load(self, profile: str) -> soe_auth.Token | None:
        if self.blocker and not self.blocker.wait(5):
            raise soe_auth.StoreError("The event loop was blocked.")
        return self.tokens.get(profile)

    def save(self, profile: str, token: soe_auth.Token) -> None:
        self.tokens[profile] = token

    def update(self, profile: str, token: soe_auth.Token) -> bool:
        """Store a token again, with its account, unless it was removed or replaced."""
        known = token.is_same_as(self.tokens.get(profile))
        if known:
            self.tokens[profile] = token
        return known

    def remove(self, profile: str, token: soe_auth.Token | None) -> bool:
        """Remove a token, unless it was removed or replaced."""
        known = token is not None and token.is_same_as(self.tokens.get(profile))
        if known:
            del self.tokens[profile]
        return known

    def profiles(self) -> list[str]:
        return sorted(self.tokens)

    def prepare(self, profile: str) -> None:
        pass


@dataclass(frozen=True)
class Ca:
    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @cached_property
    def file(self) -> str:
        file = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(file)
        return str(file)

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.file)

    def server(self) -> ssl.SSLContext:
        return tls(self.ca.issue_cert("localhost", "127.0.0.1"))


# --- one function for each client: GET, or POST with a body; redirects are followed ---

TIMEOUT = 60.0  # seconds; the default 5 of httpx are too few on a busy machine

Body = bytes | None
Send = Callable[..., Answer]


def _by(library: Any, auth: Any, ca: Ca, url: str, body: Body) -> Answer:
    with library.Client(
        auth=auth, verify=ca.context, follow_redirects=True, trust_env=False, timeout=TIMEOUT
    ) as client:
        answer = client.request("POST" if body else "GET", url, content=body)
    return Answer(answer.status_code, [before.status_code for before in answer.history])


def _by_async(library: Any, auth: Any, ca: Ca, url: str, body: Body) -> Answer:
    async def send() -> Answer:
        async with library.AsyncClient(
            auth=auth, verify=ca.context, follow_redirects=True, trust_env=False, timeout=TIMEOUT
        ) as client:
            answer = await client.request("POST" if body else "GET", url, content=body)
        return Answer(answer.status_code, [before.status_code for before in answer.history])

    return asyncio.run(send())


def by_httpx(ca: Ca, url: str, body: Body = None, **options: Unpack[Options]) -> Answer:
    return _by(httpx, soe_auth.SoeAuth("acme", **options), ca, url, body)


def by_async_httpx(ca: Ca, url: str, body: Body = None, **options: Unpack[Options]) -> Answer:
    return _by_async(httpx, soe_auth.SoeAuth("acme", **options), ca, url, body)


def by_httpx2(ca: Ca, url: str, body: Body = None, **options: Unpack[Options]) -> Answer:
    return _by(httpx2, soe_auth.Httpx2Auth("acme", **options), ca, url, body)


def by_async_httpx2(ca: Ca, url: str, body: Body = None, **options: Unpack[Options]) -> Answer:
    return _by_async(httpx2, soe_auth.Httpx2Auth("acme", **options), ca, url, body)


def by_requests(ca: Ca, url: str, body: Body = None, **options: Unpack[Options]) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = ca.file
        session.auth = soe_auth.RequestsAuth("acme", **options)
        answer = session.request("POST" if body else "GET", url, data=body)
    return Answer(answer.status_code, [before.status_code for before in answer.history])


def by_aiohttp(ca: Ca, url: str, body: Body = None, **options: Unpack[Options]) -> Answer:
    async def send() -> Answer:
        auth = soe_auth.AiohttpAuth("acme", **options)
        connector = aiohttp.TCPConnector(ssl=ca.context)
        async with aiohttp.ClientSession(middlewares=[auth], connector=connector) as session:
            async with session.request("POST" if body else "GET", url, data=body) as answer:
                await answer.read()
            # A TLS connection that closes by its handshake may outlive the loop.
            await connector.close(abort_ssl=True)
        return Answer(answer.status, [before.status for before in answer.history])

    return asyncio.run(send())


CLIENTS: list[Send] = [
    by_httpx,
    by_async_httpx,
    by_httpx2,
    by_async_httpx2,
    by_requests,
    by_aiohttp,
]


async def in_pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"
