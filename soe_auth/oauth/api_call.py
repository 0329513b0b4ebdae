"""Calls to the site's API, without I/O: where a call goes, its error's words, its next page.

Shapes of v3 are the vendor's (ProblemDetails, `page` of `totalPages`), those of v2.3 the public
Stack Exchange API's (`error_message`, `has_more`, `backoff`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
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
# Those that we send ourselves, and those that carry a token, which does not belong in an argument.
_NOT_YOURS = {
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "host",
    "proxy-authorization",
    "transfer-encoding",
    "x-api-access-token",
}
_LONGEST_PAUSE = 120.0  # seconds; a site that asks for more is not waited for


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call; `path` begins at the site's root and has the query in it."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def is_v2(self) -> bool:
        """Whether it goes to API v2.3, which has the token in a header of its own."""
        return f"{BASES['v2.3']}/" in self.path.partition("?")[0]

    @property
    def page(self) -> int:
        """The page that it asks for, from 1."""
        asked = dict(parse_qsl(urlsplit(self.path).query)).get("page", "")
        return int(asked) if asked.isdecimal() and len(asked) < 10 else 1  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What came back: status, header fields in their order, and the body, decompressed."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """Return the first field of that lower-case name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body's JSON object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def _is_text(self) -> bool:
        """Whether it is plain text, as v3's 401 is, often without a Content-Type."""
        return self.header("content-type").partition(";")[0].strip() in {"", "text/plain"}

    def reason(self, token: Secret) -> str:
        """Return the site's words for an error, fit to be shown, without the token."""
        words: Any = ""
        if fields := self.fields:
            names = ("error_message", "detail", "title", "message")
            words = next((fields[name] for name in names if fields.get(name)), "")
        elif self.body[:1] not in {b"{", b"["} and self._is_text:
            words = self.body[:1000].decode("utf-8", "replace")
        return printable(token.redact_in(words)).rstrip(".") if isinstance(words, str) else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before the call is repeated (RFC 9110 section 10.2.3); None if too many.

        A date, or nothing, is taken for two seconds: the site's limit is 50 calls in that time.
        """
        said = self.header("retry-after").strip()
        return _bounded(float(said) if said.isdecimal() else 2.0)

    @property
    def backoff(self) -> float | None:
        """Seconds to wait before the next page, as v2.3 asks for; None if too many."""
        said = self.fields.get("backoff", 0)
        return _bounded(float(said)) if isinstance(said, int) else 0.0


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
    """Make a call of what was typed: a path below the API's, or a URL of the site.

    Fields, as `key=value`, go into the query of a GET and into a JSON object else. Raises
    ValueError, which quotes nothing of a header.
    """
    method = (method or ("GET" if content is None else "POST")).upper()
    if not _METHOD.fullmatch(method):
        raise ValueError("a method is a word such as GET, POST, PUT or DELETE")
    path = _path(text, site, BASES[api])
    pairs = [_pair(field) for field in fields]
    found = dict(_header(header) for header in headers)
    if pairs and method == "GET":
        path += ("&" if "?" in path else "?") + urlencode(pairs)
    elif pairs:
        if content is not None:
            raise ValueError("-f and --input exclude each other, but for GET")
        content = json.dumps(dict(pairs)).encode()
    if content is not None:
        found.setdefault("Content-Type", "application/json")
    return ApiCall(method, path, found, content)


def next_page(call: ApiCall, answer: ApiResponse) -> int | None:
    """Return the number of the page after this one; None where there is none, or none is told."""
    fields = answer.fields
    last = fields.get("totalPages")
    if isinstance(last, int):
        return call.page + 1 if call.page < last else None
    return call.page + 1 if fields.get("has_more") is True else None


def at_page(call: ApiCall, page: int) -> ApiCall:
    """Return the same call for another page."""
    path, _, query = call.path.partition("?")
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "page"]
    query = urlencode([*pairs, ("page", str(page))])
    return ApiCall(call.method, f"{path}?{query}", call.headers, call.content)


def _path(text: str, site: Site, base: str) -> str:
    if not text.isascii() or not text.isprintable() or set(text) & set(' \\#"<>'):
        raise ValueError("a path has no blanks, backslashes or # in it; write others as %20")
    if "://" in text:
        parts = urlsplit(text)
        if not belongs_to((parts.scheme, parts.hostname, parts.port), site):
            raise ValueError(f"the token is for {site}, and is sent nowhere else")
        if "@" in parts.netloc:
            raise ValueError("an address has no user name or password in it")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    else:
        path = "/" + text.lstrip("/")
        if not path.startswith(tuple(f"{known}/" for known in BASES.values())):
            path = base + path
    segments = path.partition("?")[0].replace("%2e", ".").replace("%2E", ".").split("/")
    if not path.startswith("/") or {".", ".."} & set(segments):
        raise ValueError("write a path such as users/me")
    return path


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError("write a field as key=value")
    return key, value


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a header as NAME: VALUE")
    name, value = found.groups()
    if name.lower() in _NOT_YOURS:
        raise ValueError(f"{name} is sent by soe-auth itself, or not at all")
    return name, value


def _bounded(seconds: float) -> float | None:
    return seconds if seconds <= _LONGEST_PAUSE else None
