"""Reading the form that a request brings, bounded in size."""

from typing import Final

from aiohttp import web

from soe_auth.sandbox.form_parsing import Malformed, read_pairs

FORM_LIMIT: Final = 16 * 1024
"""Bytes a request's body may have."""


async def read_form(request: web.Request) -> list[tuple[str, str]]:
    """Read a form-encoded body into pairs; raises `Malformed` for any other body."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Malformed("The body is not of the type application/x-www-form-urlencoded.")
    body = await request.read()
    try:
        return read_pairs(body.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("The body is not properly percent-encoded.") from None
