"""Strict parsing of query strings and form bodies."""

import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

_ENCODED: Final = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")
_PLAIN_NAME: Final = re.compile(r"[a-z_]{1,30}")
_MAX_FIELDS: Final = 20
MAX_BODY: Final = 16 * 1024
"""Bytes."""

Pairs = Sequence[tuple[str, str]]


class Malformed(ValueError):
    """Parameters that cannot be parsed; the message is a sentence for the sender."""


def parse_pairs(encoded: str) -> list[tuple[str, str]]:
    """Parse a query string or form body into pairs; raises `Malformed`."""
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
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise Malformed("The parameters are not form-encoded.") from None


def unique_fields(pairs: Pairs, allowed: Collection[str]) -> dict[str, str]:
    """Return the pairs as a dictionary; raises `Malformed` for unknown and repeated names.

    A parameter without a value counts as absent (RFC 6749 section 3.1).
    """
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            # An unusual name may be a secret in the wrong place.
            shown = f" '{name}'" if _PLAIN_NAME.fullmatch(name) else ""
            raise Malformed(f"The parameter{shown} is not accepted here.")
        if name in fields:
            raise Malformed(f"The parameter '{name}' was sent more than once.")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}


async def read_form(request: web.Request) -> list[tuple[str, str]]:
    """Read a form-encoded body into pairs; raises `Malformed` for any other body."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Malformed("The Content-Type is not application/x-www-form-urlencoded.")
    body = await request.read()
    try:
        return parse_pairs(body.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("The body is not properly percent-encoded.") from None
