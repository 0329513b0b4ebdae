"""Quirks: wrong answers that the site can be set to give, each with its description."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote_plus

from soe_auth.sandbox.applications import Account
from soe_auth.sandbox.http_answer import DELIVERIES, HTML, HttpAnswer, compressed, in_html, in_json

Fields = dict[str, object]
_NORMAL: Final = "the correct answer"


def refuse(reason: str) -> HttpAnswer:
    """Refuse an exchange in the vendor's usual form."""
    return in_json(400, {"error_message": reason})


def refuse_malformed(reason: str, error: str = "invalid_request") -> HttpAnswer:
    """Refuse a request in the vendor's other form."""
    return in_json(400, {"error": {"type": error, "message": reason}})


@dataclass(frozen=True, slots=True)
class ReceivedForm:
    """The values that an answer can repeat: the raw body, and this URL with another host name."""

    body: str = field(repr=False)
    other_url: str


# Answers in place of the exchange, as from a proxy: the code is not read, and remains valid.

_BEFORE_EXCHANGE: Final[dict[str, tuple[str, HttpAnswer]]] = {
    "vendor-refusal": (
        'refuses with {"error_message": …}',
        refuse("The code is invalid or has expired."),
    ),
    "vendor-error-object": (
        'refuses with {"error": {"type": …, "message": …}}',
        refuse_malformed("The code is invalid.", "invalid_grant"),
    ),
    "rfc-refusal": (
        "refuses in the form of RFC 6749 section 5.2",
        in_json(400, {"error": "invalid_grant", "error_description": "The code is invalid."}),
    ),
    "refusal-long": (
        "refuses with a text of 60 KiB",
        refuse("This code is invalid or expired. " * 1900),
    ),
    "refusal-control": (
        "refuses with control characters and bidi overrides",
        refuse("\x1b[2J\x1b]0;owned\x07\x9b31m\r\nsigned in\u202e\u2066\u200b\x00\x7f\ud800"),
    ),
    "html-error": ("an HTML page with status 400, as from a proxy", in_html(400, "Bad Request")),
    "login-page": (
        "a login page with status 200, as from a gateway",
        in_html(200, "Log in to continue"),
    ),
    "empty": ("status 200 and an empty body", HttpAnswer(200, b"")),
    "server-error": ("status 500", HttpAnswer(500, b"Internal Server Error", "text/plain")),
    "unavailable": ("status 503 and an HTML page", in_html(503, "Service Unavailable")),
}
_REFUSAL_ECHO: Final = "refuses with a text that repeats everything that was sent"
_REDIRECTS: Final = {f"redirect-{status}": status for status in (302, 307, 308)}


def answer_before_exchange(quirk: str, received: ReceivedForm) -> HttpAnswer | None:
    """Return the answer of a quirk in place of the exchange, or None."""
    if quirk == "refusal-echo":
        body = received.body
        return refuse(f"The code is invalid in {body} or, decoded, in {unquote_plus(body)}")
    if status := _REDIRECTS.get(quirk):
        return HttpAnswer(status, b"", HTML, {"Location": received.other_url})
    return _BEFORE_EXCHANGE[quirk][1] if quirk in _BEFORE_EXCHANGE else None


# Wrong answers after a token was issued.


def _with(**changes: object) -> Callable[[Fields], HttpAnswer]:
    """Change fields of the answer; a function gets the fields, and None removes a field."""

    def answer(fields: Fields) -> HttpAnswer:
        known = {"expires": 86400, **fields}  # also for a token that never expires
        made = {name: new(known) if callable(new) else new for name, new in changes.items()}
        sent = {name: value for name, value in (fields | made).items() if value is not None}
        return in_json(200, sent)

    return answer


def _with_body(change: Callable[[bytes], bytes]) -> Callable[[Fields], HttpAnswer]:
    def answer(fields: Fields) -> HttpAnswer:
        normal = in_json(200, fields)
        return replace(normal, body=change(normal.body))

    return answer


_oversized: Final = _with(padding="x" * 2**20)
_DEEP: Final = b', "padding": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"

_AFTER_EXCHANGE: Final[dict[str, tuple[str, Callable[[Fields], HttpAnswer]]]] = {
    "truncated-json": ("JSON that is cut in half", _with_body(lambda body: body[: len(body) // 2])),
    "nested-json": (
        "JSON that is nested too deeply",
        _with_body(lambda body: body.removesuffix(b"}") + _DEEP),
    ),
    "json-list": ("the answer in a JSON list", lambda fields: in_json(200, [fields])),
    "expires-string": (
        "expires as a string of digits",
        _with(expires=lambda fields: str(fields["expires"])),
    ),
    "expires-float": ("expires as a float", _with(expires=86399.5)),
    "expires-negative": ("expires below zero", _with(expires=-1)),
    "expires-zero": ("expires is zero", _with(expires=0)),
    "expires-huge": ("expires is 10 to the power of 30", _with(expires=10**30)),
    "expires-infinite": ("expires is Infinity, which is not JSON", _with(expires=float("inf"))),
    "expires-nan": ("expires is NaN, which is not JSON", _with(expires=float("nan"))),
    "expires-bool": ("expires is true", _with(expires=True)),
    "expires-unreadable": ("expires is a word", _with(expires="tomorrow")),
    "expires-in": (
        "expires_in, the RFC's name, in place of expires",
        _with(expires=None, expires_in=lambda fields: fields["expires"]),
    ),
    "expires-missing": ("no expires, although the token expires", _with(expires=None)),
    "scope-other": ("another scope, as RFC 6749 section 3.3 allows", _with(scope="read_inbox")),
    "token-control-characters": (
        "an access_token with a line break",
        _with(access_token=lambda fields: f"{fields['access_token']}\r\nX-Added: 1"),
    ),
    "token-empty": ("an empty access_token", _with(access_token="")),
    "token-number": ("an access_token that is a number", _with(access_token=20261124)),
    "token-type-bearer": (
        "a token_type of Bearer (RFC 6749 section 5.1)",
        _with(token_type="bearer"),  # noqa: S106 - no secret
    ),
    "token-type-other": (
        "a token_type that is not Bearer",
        _with(token_type="DPoP"),  # noqa: S106 - no secret
    ),
    "token-bidi": (
        "an access_token with a bidi override",
        _with(access_token=lambda fields: f"{fields['access_token']}\u202e"),
    ),
    "token-status-500": (
        "a valid access_token with status 500",
        lambda fields: in_json(500, fields),
    ),
    "byte-order-mark": (
        "valid JSON after a UTF-8 byte order mark",
        _with_body(lambda body: b"\xef\xbb\xbf" + body),
    ),
    "wrong-content-type": (
        "valid JSON with the Content-Type text/html",
        lambda fields: replace(in_json(200, fields), content_type=HTML),
    ),
    "oversized": ("valid JSON of more than 1 MiB", _oversized),
    "compressed": (
        "valid JSON of more than 1 MiB, in 1 KiB of gzip",
        lambda fields: compressed(_oversized(fields), "gzip"),
    ),
    "huge-header": (
        "valid JSON after a header of 256 KiB",
        lambda fields: replace(in_json(200, fields), headers={"X-Padding": "x" * 2**18}),
    ),
}


def answer_after_exchange(quirk: str, fields: Fields) -> HttpAnswer:
    """Return the answer of a quirk about an issued token."""
    return _AFTER_EXCHANGE[quirk][1](fields) if quirk in _AFTER_EXCHANGE else in_json(200, fields)


# Wrong answers to the account lookup.

_ACCOUNT_BODIES: Final[dict[str, tuple[str, HttpAnswer]]] = {
    "server-error": ("status 500", in_html(500, "Internal Server Error")),
    "html": ("an HTML page with status 200", in_html(200, "Log in to continue")),
    "not-json": ("invalid JSON with the Content-Type of JSON", HttpAnswer(200, b"{name: Jane")),
}
_ACCOUNT_NAMES: Final[dict[str, tuple[str, str]]] = {
    "empty-name": ("an account with an empty name", ""),
    "markup-name": (
        "an account with a <script> element in its name",
        "<script>alert('Jane Doe')</script>",
    ),
    "control-name": (
        "an account with control characters and bidi overrides in its name",
        "Jane\x1b[31m\u202eeoD\u202c\r\n\x07 Doe\x00",
    ),
}


def answer_account(
    quirk: str, account: Account, describe: Callable[[Account], object]
) -> HttpAnswer:
    """Return the answer of a quirk about an account."""
    if quirk in _ACCOUNT_BODIES:
        return _ACCOUNT_BODIES[quirk][1]
    _, name = _ACCOUNT_NAMES.get(quirk, ("", account.name))
    return in_json(200, describe(replace(account, name=name)))


# The values of each quirk, with descriptions.


def _described(*tables: Mapping[str, tuple[str, object]]) -> dict[str, str]:
    return {name: row[0] for table in tables for name, row in table.items()}


TOKEN_ANSWERS: Final[Mapping[str, str]] = {
    "ok": _NORMAL,
    **_described(_BEFORE_EXCHANGE),
    "refusal-echo": _REFUSAL_ECHO,
    **{
        name: f"a {status} to the same endpoint by another host name"
        for name, status in _REDIRECTS.items()
    },
    **_described(_AFTER_EXCHANGE),
    **DELIVERIES,
}
ACCOUNT_ANSWERS: Final[Mapping[str, str]] = {
    "ok": _NORMAL,
    **{name: DELIVERIES[name] for name in ("slow", "hang")},
    **_described(_ACCOUNT_BODIES, _ACCOUNT_NAMES),
}
API_ANSWERS: Final[Mapping[str, str]] = {
    "ok": "the correct answer, with a few tags, users and questions",
    "empty": "every list is empty",
    "backoff": "API v2.3 asks for a pause of a second before the next page",
    "too-many": "too many calls: 429 with Retry-After, and throttle_violation on API v2.3",
}
INVALIDATE_ANSWERS: Final[Mapping[str, str]] = {
    "ok": "the correct answer, as the public API gives it",
    "not-offered": "no_method: the site has no calls about tokens",
    "server-error": "internal_error, and the token stays valid",
    "hang": DELIVERIES["hang"],
}
REFUSALS: Final[Mapping[str, str]] = {
    "with-state": "a refusal has the state that was sent",
    "without-state": "a refusal has no state",
    "wrong-state": "a refusal has a state that was not sent",
}
ISSUERS: Final[Mapping[str, str]] = {
    "none": "no iss, as with SOE",
    "right": "the redirect has iss, the URL of this site (RFC 9207)",
    "wrong": "the redirect has the iss of another site",
}
_TABLES: Final = {
    "token": ("the token endpoint", TOKEN_ANSWERS),
    "account": ("the account lookup", ACCOUNT_ANSWERS),
    "api": ("the lists of the API", API_ANSWERS),
    "invalidate": ("the call that revokes a token", INVALIDATE_ANSWERS),
    "refusal": ("a refused login", REFUSALS),
    "issuer": ("the iss of a redirect", ISSUERS),
}


def list_quirks() -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Return each quirk: its name, what it changes, and its values with their descriptions.

    The first value is the default.
    """
    for name, (changes, values) in _TABLES.items():
        yield name, changes, values


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How the site answers; each field but `delay` is a name from its table.

    `token` is in TOKEN_ANSWERS, `account` in ACCOUNT_ANSWERS, `api` in API_ANSWERS, `invalidate`
    in INVALIDATE_ANSWERS, `refusal` in REFUSALS, `issuer` in ISSUERS. `delay` is in seconds: before
    a slow answer, and between the bytes of a trickle. Raises ValueError for an unknown name.
    """

    token: str = "ok"  # noqa: S105 - the name of an answer, no secret
    account: str = "ok"
    api: str = "ok"
    invalidate: str = "ok"
    refusal: str = "with-state"
    issuer: str = "none"
    delay: float = 3.0

    def __post_init__(self) -> None:
        for name, _, values in list_quirks():
            if (value := getattr(self, name)) not in values:
                raise ValueError(f"{name} is one of {', '.join(values)}; not {value!r}")
        if not 0 <= self.delay < float("inf"):
            raise ValueError(f"delay is a number of seconds, not {self.delay!r}")
