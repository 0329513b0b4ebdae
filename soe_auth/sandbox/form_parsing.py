"""Reading what a program sends, form-encoded: stricter than the standards ask, to teach."""

import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

_ENCODED: Final = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")
_PLAIN_NAME: Final = re.compile(r"[a-z_]{1,30}")
_MOST_FIELDS: Final = 20
FORM_LIMIT: Final = 16 * 1024
"""Bytes a request's body may have."""

Pairs = Sequence[tuple[str, str]]


class Malformed(ValueError):
    """What was sent cannot be read; the message is a sentence fit for the sender."""


def read_pairs(encoded: str) -> list[tuple[str, str]]:
    """Read a query string or a form body into its pairs; raises `Malformed`."""
    if not encoded:
        return []
    if not _ENCODED.fullmatch(encoded):
        raise Malformed("The parameters are not properly percent-encoded.")
    try:
        return parse_qsl(
            encoded,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Malformed("The parameters are not form-encoded.") from None


def once_each(pairs: Pairs, known: Collection[str]) -> dict[str, str]:
    """Make a dictionary of pairs that are all known and none repeated; raises `Malformed`.

    A parameter without a value counts as not sent (RFC 6749 section 3.1).
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            # A name that does not look like one may be a secret put in the wrong place.
            shown = f" '{name}'" if _PLAIN_NAME.fullmatch(name) else ""
            raise Malformed(f"A parameter{shown} was sent that is not taken here.")
        if name in found:
            raise Malformed(f"The parameter '{name}' was sent more than once.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


async def read_form(request: web.Request) -> list[tuple[str, str]]:
    """Read a form-encoded body into pairs; raises `Malformed` for any other body."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Malformed("The body is not of the type application/x-www-form-urlencoded.")
    body = await request.read()
    try:
        return read_pairs(body.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("The body is not properly percent-encoded.") from None
