"""Calls to the site's API, without I/O: URL, headers, error message, next page.

API v3 is SOE's own (ProblemDetails, `page` of `totalPages`); v2.3 follows the public Stack
Exchange API (`error_message`, `has_more`, `backoff`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from soe_auth.model.text import printable
from soe_auth.oauth.bearer import belongs_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soe_auth.model.secret import Secret
    from soe_auth.model.site import Site

BASES = {"v3": "/api/v3", "v2.3": "/api/2.3"}

_METHOD = re.compile(r"[A-Z]{3,10}")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*([\t\x20-\x7e]*)")  # RFC 9110 section 5
# Headers that soe-auth sends, and headers for a token, which must not be an argument.
_RESERVED = {
    *("accept-encoding", "authorization", "connection", "content-length", "host"),
    *("proxy-authorization", "transfer-encoding", "x-api-access-token"),
}
_LONGEST_PAUSE = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call; `path` begins at the site's root and includes the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def is_v2(self) -> bool:
        """Whether it goes to API v2.3, which has its own header for the token."""
        return f"{BASES['v2.3']}/" in self.path.partition("?")[0]

    @property
    def page(self) -> int:
        """The number of the requested page, from 1."""
        page = dict(parse_qsl(urlsplit(self.path).query)).get("page", "")
        return int(page) if page.isdecimal() and len(page) < 10 else 1  # noqa: PLR2004  # digits


@dataclass(frozen=True, slots=True)
class SiteResponse:
    """A response: status, header fields in order, decompressed body; empty if it was not read."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)

    @property
    def requires_token(self) -> bool:
        """Whether the site refuses a request without a token."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

    def header(self, name: str) -> str:
        """Return the first header of that lower-case name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body's JSON object, or an empty one."""
        try:
            fields = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return fields if isinstance(fields, dict) else {}

    def reason(self, token: Secret) -> str:
        """Return the site's error message, printable and without the token."""
        words: Any = ""
        # A 401 of v3 is plain text, often without a Content-Type.
        kind = self.header("content-type").partition(";")[0].strip()
        if fields := self.fields:
            names = ("error_message", "detail", "title", "message")
            words = next((fields[name] for name in names if fields.get(name)), "")
        elif self.body[:1] not in {b"{", b"["} and kind in {"", "text/plain"}:
            words = self.body[:1000].decode("utf-8", "replace")
        return printable(token.redact_in(words)).rstrip(".") if isinstance(words, str) else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before a retry (RFC 9110 section 10.2.3); None if too long.

        Without a number it is 2 s: the site allows 50 calls in that time.
        """
        seconds = self.header("retry-after").strip()
        return _limited(float(seconds) if seconds.isdecimal() else 2.0)

    @property
    def backoff(self) -> float | None:
        """Seconds to wait before the next page of v2.3; None if too long."""
        seconds = self.fields.get("backoff", 0)
        return _limited(float(seconds)) if isinstance(seconds, int) else 0.0


def new_api_call(
    text: str,
    site: Site,
    api: str,
    *,
    method: str | None = None,
    fields: Sequence[str] = (),
    headers: Sequence[str] = (),
    content: bytes | None = None,
) -> ApiCall:
    """Return the call for `text`: a path below the API's, or a URL of the site.

    `fields`, as `key=value`, go into the query of a GET, else into a JSON object. Raises
    ValueError, without a header in its message.
    """
    method = (method or ("GET" if content is None else "POST")).upper()
    if not _METHOD.fullmatch(method):
        raise ValueError("a method is a word such as GET, POST, PUT or DELETE")
    path = _parse_path(text, site, BASES[api])
    pairs = [_parse_field(field) for field in fields]
    own_headers = dict(_parse_header(header) for header in headers)
    if pairs and method == "GET":
        path += ("&" if "?" in path else "?") + urlencode(pairs)
    elif pairs:
        if content is not None:
            raise ValueError("-f cannot be used with --input, except with GET")
        content = json.dumps(dict(pairs)).encode()
    if content is not None:
        own_headers.setdefault("Content-Type", "application/json")
    return ApiCall(method, path, own_headers, content)


def next_page(call: ApiCall, response: SiteResponse) -> int | None:
    """Return the number of the next page; None if there is none."""
    last = response.fields.get("totalPages")
    has_more = call.page < last if isinstance(last, int) else response.fields.get("has_more")
    return call.page + 1 if has_more is True else None


def at_page(call: ApiCall, page: int) -> ApiCall:
    """Return the same call for another page."""
    path, _, query = call.path.partition("?")
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "page"]
    return replace(call, path=f"{path}?{urlencode([*pairs, ('page', str(page))])}")


def _parse_path(text: str, site: Site, base: str) -> str:
    if not text.isascii() or not text.isprintable() or set(text) & set(' \\#"<>'):
        raise ValueError("a path has no spaces, backslashes or #; escape them, as in %20")
    if "://" in text:
        parts = urlsplit(text)
        if not belongs_to((parts.scheme, parts.hostname, parts.port), site):
            raise ValueError(f"the token is for {site} only")
        if "@" in parts.netloc:
            raise ValueError("a URL must not have a user name or password")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    else:
        path = "/" + text.lstrip("/")
        if not path.startswith(tuple(f"{known}/" for known in BASES.values())):
            path = base + path
    segments = path.partition("?")[0].replace("%2e", ".").replace("%2E", ".").split("/")
    if not path.startswith("/") or {".", ".."} & set(segments):
        raise ValueError("write a path such as users/me")
    return path


def _parse_field(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("write a field as key=value")
    return key, value


def _parse_header(text: str) -> tuple[str, str]:
    header = _HEADER.fullmatch(text.strip())
    if header is None:
        raise ValueError("write a header as NAME: VALUE")
    if header[1].lower() in _RESERVED:
        raise ValueError(f"{header[1]} is set by soe-auth")
    return header[1], header[2]


def _limited(seconds: float) -> float | None:
    return seconds if seconds <= _LONGEST_PAUSE else None
