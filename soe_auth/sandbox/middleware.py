"""What holds for every answer: who may ask, and what no browser may do with it."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from soe_auth.sandbox import pages
from soe_auth.sandbox.context import Context

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Server": "soe-auth-sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HEADINGS: Final = {
    400: "That request was not right",
    403: "That form was not made here",
    404: "There is no such page",
    405: "That method is not taken here",
    413: "That was too much",
    421: "This is not the site you asked for",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded_by(context: Context) -> Middleware:
    """Make the middleware that checks the Host and makes pages of faults."""
    names = (context.host, "localhost", "127.0.0.1", "[::1]")
    hosts = [[f"{name}:{context.port}"] for name in names]

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            # A page elsewhere whose name was made to point here shows itself by its Host.
            if request.headers.getall("Host", []) not in hosts:
                context.narrate("A request for another host name was turned away.")
                raise web.HTTPMisdirectedRequest(text="Only names of this computer are answered.")
            return await handler(request)
        except web.HTTPException as fault:
            heading = _HEADINGS.get(fault.status, fault.reason)
            page = pages.message(heading, _sentence(fault), status=fault.status)
            if "Allow" in fault.headers:
                page.headers["Allow"] = fault.headers["Allow"]
            return page

    return guard


def _sentence(fault: web.HTTPException) -> str:
    """Take the sentence a fault was raised with; aiohttp's own begin with a number."""
    text = fault.text or ""
    return "Please go back and start again." if text.startswith(str(fault.status)) else text


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add to each answer what keeps it out of caches, frames and other sites' hands."""
    response.headers.update(_HEADERS)
    if response.headers.get("Content-Type") == "":  # aiohttp would name one of its own
        del response.headers["Content-Type"]
    response.headers.setdefault("Content-Security-Policy", pages.content_policy())
