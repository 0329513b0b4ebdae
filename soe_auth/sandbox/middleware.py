"""Checks and headers for all requests: the Host, error pages, and headers for browsers."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from soe_auth.sandbox import pages
from soe_auth.sandbox.site_state import SiteState

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Server": "soe-auth-sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HEADINGS: Final = {
    400: "Invalid request",
    403: "Form not accepted",
    404: "Page not found",
    405: "Method not allowed",
    413: "Request too large",
    421: "Wrong host name",
}


def make_guard(state: SiteState) -> Middleware:
    """Make the middleware that checks the Host and turns HTTP errors into pages."""
    names = (state.host, "localhost", "127.0.0.1", "[::1]")
    hosts = [[f"{name}:{state.port}"] for name in names]

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.headers.getall("Host", []) not in hosts:  # as in DNS rebinding
                state.narrate("A request for another host name was refused.")
                raise web.HTTPMisdirectedRequest(
                    text="This site answers to the names of this computer only."
                )
            return await handler(request)
        except web.HTTPException as error:
            text = error.text or ""
            if text.startswith(str(error.status)):  # text of aiohttp
                text = "Go back and start again."
            heading = _HEADINGS.get(error.status, error.reason)
            page = pages.message(heading, text, status=error.status)
            if "Allow" in error.headers:
                page.headers["Allow"] = error.headers["Allow"]
            return page

    return guard


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep an answer out of caches and frames."""
    response.headers.update(_HEADERS)
    if response.headers.get("Content-Type") == "":  # aiohttp would add a type of its own
        del response.headers["Content-Type"]
    response.headers.setdefault("Content-Security-Policy", pages.content_policy())
