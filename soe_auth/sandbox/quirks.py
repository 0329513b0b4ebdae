"""The switches: every way the site can be told to answer, each by a name and in one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

TOKEN_ANSWERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ok": "as the site should",
        "vendor-refusal": 'refuses with {"error_message": …}',
        "vendor-error-object": 'refuses with {"error": {"type": …, "message": …}}',
        "rfc-refusal": "refuses in the form of RFC 6749 section 5.2",
        "refusal-long": "refuses in many thousand words",
        "refusal-control": "refuses with control characters, escape sequences, bidi overrides",
        "refusal-echo": "refuses in words that repeat all that was sent",
        "html-error": "a 400 error page in HTML, as a proxy would",
        "login-page": "a login page with status 200, as a single sign-on gateway would",
        "empty": "status 200 and an empty body",
        "server-error": "status 500",
        "unavailable": "status 503 and an HTML page",
        "truncated-json": "JSON that stops half way",
        "nested-json": "JSON that is nested deeper than a parser follows",
        "json-list": "the answer wrapped in a JSON list",
        "expires-string": "expires as a string of digits",
        "expires-float": "expires as a float",
        "expires-negative": "expires below zero",
        "expires-zero": "expires of zero",
        "expires-huge": "expires absurdly large",
        "expires-infinite": "expires as Infinity, which is no JSON but often taken for it",
        "expires-nan": "expires as NaN, which is no JSON but often taken for it",
        "expires-bool": "expires as true",
        "expires-unreadable": "expires as a word",
        "expires-in": "expires_in, the RFC's name, instead of expires",
        "expires-missing": "no expires, though the token does end",
        "scope-other": "names a scope that was not asked for, as RFC 6749 section 3.3 allows",
        "token-control-characters": "an access_token with a line break in it",
        "token-empty": "an empty access_token",
        "token-number": "an access_token that is a number",
        "token-type-bearer": "names the token's type, as RFC 6749 section 5.1 asks",
        "token-type-other": "names a token's type that is not Bearer",
        "token-bidi": "an access_token with a bidi override in it",
        "token-status-500": "a good access_token with status 500",
        "byte-order-mark": "good JSON after a UTF-8 byte order mark",
        "wrong-content-type": "good JSON that calls itself text/html",
        "redirect-302": "a 302 to the same endpoint under another host name",
        "redirect-307": "a 307 to the same endpoint under another host name",
        "redirect-308": "a 308 to the same endpoint under another host name",
        "oversized": "good JSON of more than 1 MiB",
        "compressed": "good JSON of more than 1 MiB, as a gzip of some 1 KiB, unasked",
        "huge-header": "good JSON behind a header of 256 KiB",
        "slow": "the right answer, after the delay",
        "hang": "accepts the request and never answers",
        "drop": "closes the connection without an answer",
        "cut-off": "closes the connection half way through the body",
        "not-http": "repeats what was sent, in place of HTTP",
        "trickle": "the right answer, a byte at a time with the delay between",
    }
)

ACCOUNT_ANSWERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ok": "as the site should",
        "slow": "the right answer, after the delay",
        "hang": "accepts the request and never answers",
        "server-error": "status 500",
        "html": "an HTML page with status 200",
        "not-json": "something that says it is JSON and is not",
        "empty-name": "an account whose name is empty",
        "markup-name": "an account whose name holds a <script> element",
        "control-name": "an account whose name holds control characters and bidi overrides",
    }
)

API_ANSWERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ok": "as the site should, with a few tags, users and questions",
        "empty": "every list is empty",
        "backoff": "API v2.3 asks to wait a second before the next page",
        "too-many": "too many calls: 429 with Retry-After, and throttle_violation on API v2.3",
    }
)

INVALIDATE_ANSWERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ok": "as the public API does",
        "not-offered": "no_method: the site does not serve the calls about tokens at all",
        "server-error": "internal_error, and the token lives on",
        "hang": "accepts the request and never answers",
    }
)

REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "with-state": "a refusal carries the state that was sent",
        "without-state": "a refusal carries no state",
        "wrong-state": "a refusal carries a state that was not sent",
    }
)

ISSUERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "no iss, as SOE does",
        "right": "the redirect carries iss, the URL of this site (RFC 9207)",
        "wrong": "the redirect carries the iss of another site",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How the site answers; every field but `delay` is a name from the table beside it.

    `token` TOKEN_ANSWERS, `account` ACCOUNT_ANSWERS, `api` API_ANSWERS, `invalidate`
    INVALIDATE_ANSWERS, `refusal` REFUSALS, `issuer` ISSUERS. `delay` is in seconds: before a slow
    answer, and between the bytes of a trickle. Raises ValueError for a name that is not in its
    table.
    """

    token: str = "ok"  # noqa: S105 - the name of an answer, no secret
    account: str = "ok"
    api: str = "ok"
    invalidate: str = "ok"
    refusal: str = "with-state"
    issuer: str = "none"
    delay: float = 3.0

    def __post_init__(self) -> None:
        """Hold every name against its table."""
        for field, name, table in (
            ("token", self.token, TOKEN_ANSWERS),
            ("account", self.account, ACCOUNT_ANSWERS),
            ("api", self.api, API_ANSWERS),
            ("invalidate", self.invalidate, INVALIDATE_ANSWERS),
            ("refusal", self.refusal, REFUSALS),
            ("issuer", self.issuer, ISSUERS),
        ):
            if name not in table:
                raise ValueError(f"{field} is one of {', '.join(table)}; not {name!r}")
        if not 0 <= self.delay < float("inf"):
            raise ValueError(f"delay is a number of seconds, not {self.delay!r}")
