"""HTTP answers of the token endpoint and the APIs, and the ways to send them."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

JSON: Final = "application/json; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"

DELIVERIES: Final = {
    "slow": "the correct answer, after the delay",
    "hang": "accepts the request and never answers",
    "drop": "closes the connection without an answer",
    "cut-off": "closes the connection in the middle of the body",
    "not-http": "sends the request's body back in place of HTTP",
    "trickle": "the correct answer, one byte at a time with the delay between",
}
"""Quirks of how an answer is sent; `send` implements them."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer before it is sent."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def in_json(status: int, value: object) -> HttpAnswer:
    """Make an answer in JSON."""
    return HttpAnswer(status, json.dumps(value).encode())


def in_html(status: int, heading: str) -> HttpAnswer:
    """Make a minimal page, as a proxy or gateway sends."""
    page = (
        f"<!doctype html><html><head><title>{heading}</title></head><body>{heading}</body></html>"
    )
    return HttpAnswer(status, page.encode(), HTML)


def compressed(answer: HttpAnswer, accepted: str) -> HttpAnswer:
    """Compress an answer: by gzip, or deflate if `accepted` (an Accept-Encoding) has only that."""
    if "deflate" in accepted and "gzip" not in accepted:
        encoding, body = "deflate", zlib.compress(answer.body)
    else:
        encoding, body = "gzip", gzip.compress(answer.body, mtime=0)
    return replace(answer, body=body, headers={**answer.headers, "Content-Encoding": encoding})


async def send(
    request: web.Request, answer: HttpAnswer, quirk: str, delay: float, closing: asyncio.Event
) -> web.StreamResponse:
    """Send an answer as the quirk says; any name outside `DELIVERIES` sends it normally.

    `delay` is in seconds. Each wait ends when `closing` is set, so the site can stop at any time.
    """

    async def pause() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await closing.wait()

    headers = {"Content-Type": answer.content_type, **answer.headers}
    if quirk in {"trickle", "cut-off"}:
        size = len(answer.body)
        response = web.StreamResponse(
            status=answer.status, headers={**headers, "Content-Length": str(size)}
        )
        await response.prepare(request)
        if quirk == "cut-off":
            await response.write(answer.body[: size // 2])
            request.protocol.force_close()
        else:
            for position in range(size):
                await response.write(answer.body[position : position + 1])
                await pause()
        return response
    if quirk == "slow":
        await pause()
    elif quirk == "hang":
        await closing.wait()
    elif quirk == "not-http" and request.transport:  # pragma: no branch - it is still connected
        request.transport.write(await request.read() + b"\r\n\r\n")
    if quirk in {"hang", "drop", "not-http"}:
        request.protocol.force_close()
    return web.Response(status=answer.status, body=answer.body, headers=headers)
