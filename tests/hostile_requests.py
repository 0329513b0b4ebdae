"""Requests that may arrive at the port of a login, besides the callback."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from callback_server import Login

# The answer to all of them: a short page with a status 4xx, or none to an incomplete request.
REFUSED = re.compile(rb"HTTP/(0.9|1.[01]) 4\d\d |$")

TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(500)
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(40)
MEGABYTE = 2**20


@dataclass(frozen=True)
class Target:
    """A callback server as an attacker sees it who knows even the state."""

    port: int
    path: str
    state: str

    @property
    def good(self) -> str:
        return f"{self.path}?code=x&state={self.state}"

    def request(
        self, target: str, *headers: str, method: str = "GET", host: str | None = None
    ) -> bytes:
        own = f"Host: localhost:{self.port}" if host is None else host
        lines = [f"{method} {target} HTTP/1.1", *filter(None, (own, *headers)), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    async def send(self, data: bytes, *, wait: float = 0.5) -> bytes:
        """Send bytes on a new connection, and return what is received in `wait` seconds."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = b""
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(wait):
                writer.write(data)
                await writer.drain()
                answer = await reader.read(MEGABYTE)
        writer.close()
        return answer


def good_request(t: Target, *headers: str) -> bytes:
    return t.request(t.good, *headers)


# Each is sent at once, and answered with a 4xx or not at all.
REQUESTS: dict[str, Callable[[Target], bytes]] = {
    "HEAD": lambda t: t.request(t.good, method="HEAD"),
    "OPTIONS": lambda t: t.request(t.good, "Origin: https://evil.example", method="OPTIONS"),
    "POST": lambda t: t.request(t.good, "Content-Length: 3", method="POST") + b"x=y",
    "TRACE": lambda t: t.request(t.good, method="TRACE"),
    "CONNECT": lambda t: t.request("localhost:443", method="CONNECT"),
    "a method of their own": lambda t: t.request(t.good, method="GETT"),
    "no state": lambda t: t.request(f"{t.path}?code=x"),
    "a near miss of the state": lambda t: t.request(t.good[:-1] + "~"),
    "a state with a blank": lambda t: t.request(t.good + "%20"),
    "an encoded name of the state": lambda t: t.request(f"{t.path}?code=x&st%61te=x"),
    "two states": lambda t: t.request(f"{t.good}&state={t.state}"),
    "two codes": lambda t: t.request(f"{t.good}&code=y"),
    "no code": lambda t: t.request(f"{t.path}?state={t.state}"),
    "an empty code": lambda t: t.request(f"{t.path}?code=&state={t.state}"),
    "code and error": lambda t: t.request(f"{t.good}&error=access_denied"),
    "an error without state": lambda t: t.request(f"{t.path}?error=access_denied"),
    "another issuer": lambda t: t.request(f"{t.good}&iss=https%3A%2F%2Fevil.example"),
    "a semicolon for an ampersand": lambda t: t.request(t.good.replace("&", ";")),
    "another name (DNS rebinding)": lambda t: t.request(t.good, host="Host: evil.example"),
    "another name with our port": lambda t: t.request(t.good, host=f"Host: evil:{t.port}"),
    "no port in Host": lambda t: t.request(t.good, host="Host: localhost"),
    "Host in capitals with a dot": lambda t: t.request(t.good, host=f"Host: LOCALHOST.:{t.port}"),
    "no Host": lambda t: t.request(t.good, host=""),
    "two Hosts": lambda t: t.request(t.good, f"Host: localhost:{t.port}"),
    "a whole address as the target": lambda t: t.request(f"http://localhost:{t.port}{t.good}"),
    "another path": lambda t: t.request("/callback/evil?" + t.good.partition("?")[2]),
    "a path with dots": lambda t: t.request(f"/x/..{t.good}"),
    "a doubled slash": lambda t: t.request(f"/{t.good}"),
    "an encoded slash": lambda t: t.request(t.good.replace("/callback/", "/callback%2F")),
    "a favicon": lambda t: t.request("/favicon.ico"),
    "a guess at the launch address": lambda t: t.request("/AAAAAAAA"),
    "a pre-fetch": lambda t: good_request(t, "Sec-Purpose: prefetch;prerender"),
    "an image": lambda t: good_request(t, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"),
    "a script's fetch": lambda t: good_request(t, "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"),
    "a frame": lambda t: good_request(t, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
    "a WebSocket": lambda t: good_request(t, "Upgrade: websocket", "Sec-Fetch-Mode: websocket"),
    "a TLS hello": lambda _: TLS_HELLO,
    "HTTP/2": lambda _: HTTP_2,
    "HTTP/0.9": lambda t: f"GET {t.good}\r\n\r\n".encode(),
    "a word alone": lambda _: b"GET\r\n\r\n",
    "no HTTP": lambda _: b"\x00\xff\x1b]0;owned\x07\r\n\r\n",
    "a bare line feed": lambda _: b"\n" * 1000,
    "a line break in a header": lambda t: t.request(t.good, "X: a\r\n\tb", host="Host: \x00"),
    "a giant address": lambda t: t.request(t.path + "?state=" + "x" * MEGABYTE),
    "a giant header": lambda t: t.request(t.path, "X: " + "x" * MEGABYTE),
    "ten thousand headers": lambda t: t.request(t.path, *(f"X{n}: y" for n in range(10_000))),
    "a giant body": lambda t: (
        t.request(t.path, f"Content-Length: {10**12}", method="POST") + bytes(MEGABYTE)
    ),
    "a body of two lengths": lambda t: t.request(
        t.path, "Content-Length: 5", "Transfer-Encoding: chunked", method="POST"
    ),
    "a body without end": lambda t: (
        t.request(t.path, "Transfer-Encoding: chunked", method="POST")
        + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 16
    ),
    "a hundred requests on one connection": lambda t: t.request("/favicon.ico") * 100,
}


def target_of(login: Login) -> Target:
    uri = urlsplit(login.request.redirect_uri)
    return Target(login.sockets.port, uri.path, login.request.state.reveal())
