"""How an answer reaches the program that asked: at once, late, in crumbs, or never."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from aiohttp import web

from soe_auth.sandbox.context import Context
from soe_auth.sandbox.token_answers import TokenAnswer


async def deliver(
    request: web.Request, answer: TokenAnswer, context: Context, manner: str
) -> web.StreamResponse:
    """Send an answer in a manner of `DELIVERIES`; any other name sends it at once."""
    way = DELIVERIES.get(manner, _at_once)
    return await way(request, answer, context)


async def _at_once(
    _request: web.Request, answer: TokenAnswer, _context: Context
) -> web.StreamResponse:
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={"Content-Type": answer.content_type, **answer.headers},
    )


async def _slow(request: web.Request, answer: TokenAnswer, context: Context) -> web.StreamResponse:
    await _pause(context)
    return await _at_once(request, answer, context)


async def _hang(request: web.Request, answer: TokenAnswer, context: Context) -> web.StreamResponse:
    await context.closing.wait()
    return await _drop(request, answer, context)


async def _drop(request: web.Request, answer: TokenAnswer, context: Context) -> web.StreamResponse:
    request.protocol.force_close()
    return await _at_once(request, answer, context)  # into a connection that is gone


async def _trickle(
    request: web.Request, answer: TokenAnswer, context: Context
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status,
        headers={"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))},
    )
    await response.prepare(request)
    for place in range(len(answer.body)):
        await response.write(answer.body[place : place + 1])
        await _pause(context)
    return response


async def _cut_off(
    request: web.Request, answer: TokenAnswer, _context: Context
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status,
        headers={"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))},
    )
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    request.protocol.force_close()
    return response


async def _not_http(
    request: web.Request, answer: TokenAnswer, context: Context
) -> web.StreamResponse:
    if request.transport:  # pragma: no branch - the program that asked is still there
        request.transport.write(await request.read() + b"\r\n\r\n")
    return await _drop(request, answer, context)


async def _pause(context: Context) -> None:
    """Wait for the delay, or until the site goes away: nothing holds up its end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(context.quirks().delay):
            await context.closing.wait()


Delivery = Callable[[web.Request, TokenAnswer, Context], Awaitable[web.StreamResponse]]

DELIVERIES: Final[Mapping[str, Delivery]] = MappingProxyType(
    {
        "slow": _slow,
        "hang": _hang,
        "drop": _drop,
        "trickle": _trickle,
        "cut-off": _cut_off,
        "not-http": _not_http,
    }
)
