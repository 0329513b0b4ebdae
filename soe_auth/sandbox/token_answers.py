"""What the token endpoint says: the vendor's two shapes, and every way to say them wrongly."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_plus

_JSON: Final = "application/json; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An HTTP answer before it is sent."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def in_json(status: int, value: object) -> TokenAnswer:
    """Answer in JSON."""
    return TokenAnswer(status, json.dumps(value).encode())


def in_html(status: int, heading: str) -> TokenAnswer:
    """Answer with a bare page that is not the site's own."""
    page = (
        f"<!doctype html><html><head><title>{heading}</title></head><body>{heading}</body></html>"
    )
    return TokenAnswer(status, page.encode(), _HTML)


def compressed(answer: TokenAnswer, accepted: str) -> TokenAnswer:
    """Compress an answer, by gzip unless `accepted` (an Accept-Encoding) names only deflate."""
    if "deflate" in accepted and "gzip" not in accepted:
        encoding, body = "deflate", zlib.compress(answer.body)
    else:
        encoding, body = "gzip", gzip.compress(answer.body, mtime=0)
    return replace(answer, body=body, headers={**answer.headers, "Content-Encoding": encoding})


def refusal(reason: str) -> TokenAnswer:
    """Refuse in the vendor's form."""
    return in_json(400, {"error_message": reason})


def malformed_request(reason: str) -> TokenAnswer:
    """Refuse what cannot be read, in the vendor's other form."""
    return in_json(400, {"error": {"type": "invalid_request", "message": reason}})


@dataclass(frozen=True, slots=True)
class Sent:
    """What an answer may draw on: the body as it came, and this endpoint by another host name."""

    body: str = field(repr=False)
    elsewhere: str


def _redirect(status: int) -> Callable[[Sent], TokenAnswer]:
    return lambda sent: TokenAnswer(status, b"", _HTML, {"Location": sent.elsewhere})


def _always(answer: TokenAnswer) -> Callable[[Sent], TokenAnswer]:
    return lambda _sent: answer


def _echo(sent: Sent) -> TokenAnswer:
    return refusal(f"No code is good in {sent.body} or, read, in {unquote_plus(sent.body)}")


INSTEAD: Final[Mapping[str, Callable[[Sent], TokenAnswer]]] = MappingProxyType(
    {
        "vendor-refusal": _always(refusal("The code is invalid or has expired.")),
        "vendor-error-object": _always(
            in_json(400, {"error": {"type": "invalid_grant", "message": "The code is invalid."}})
        ),
        "rfc-refusal": _always(
            in_json(400, {"error": "invalid_grant", "error_description": "The code is invalid."})
        ),
        "refusal-long": _always(refusal("No code was as bad as this one. " * 1900)),
        "refusal-control": _always(
            refusal("\x1b[2J\x1b]0;owned\x07\x9b31m\r\nsigned in\u202e\u2066\u200b\x00\x7f\ud800")
        ),
        "refusal-echo": _echo,
        "html-error": _always(in_html(400, "Bad Request")),
        "login-page": _always(in_html(200, "Log in to continue")),
        "empty": _always(TokenAnswer(200, b"")),
        "server-error": _always(TokenAnswer(500, b"Internal Server Error", "text/plain")),
        "unavailable": _always(in_html(503, "Service Unavailable")),
        "redirect-302": _redirect(302),
        "redirect-307": _redirect(307),
        "redirect-308": _redirect(308),
    }
)
"""Answers given without a look at the code, as by a proxy; it stays unspent."""


def _with(**changes: object) -> Callable[[Fields], TokenAnswer]:
    return lambda fields: in_json(200, {**fields, **changes})


def _life(fields: Fields) -> object:
    return fields.get("expires", 86400)  # a token without end is said to have one here, too


def _without_expires(fields: Fields) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "expires"}


def _truncated(fields: Fields) -> TokenAnswer:
    whole = in_json(200, fields)
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def _marked(fields: Fields) -> TokenAnswer:
    whole = in_json(200, fields)
    return replace(whole, body=b"\xef\xbb\xbf" + whole.body)


def _nested(fields: Fields) -> TokenAnswer:
    whole = in_json(200, {**fields, "padding": []})
    return replace(whole, body=whole.body.replace(b"[]", b"[" * 30_000 + b"]" * 30_000))


def _oversized(fields: Fields) -> TokenAnswer:
    return in_json(200, {**fields, "padding": "x" * 2**20})


def _behind_a_header(fields: Fields) -> TokenAnswer:
    return replace(in_json(200, fields), headers={"X-Padding": "x" * 2**18})


def _named_as_the_rfc(fields: Fields) -> TokenAnswer:
    return in_json(200, {**_without_expires(fields), "expires_in": _life(fields)})


def _with_line_break(fields: Fields) -> TokenAnswer:
    return in_json(200, {**fields, "access_token": f"{fields['access_token']}\r\nX-Added: 1"})


def _with_bidi_override(fields: Fields) -> TokenAnswer:
    return in_json(200, {**fields, "access_token": f"{fields['access_token']}\u202e"})


ALTERED: Final[Mapping[str, Callable[[Fields], TokenAnswer]]] = MappingProxyType(
    {
        "truncated-json": _truncated,
        "nested-json": _nested,
        "json-list": lambda fields: in_json(200, [fields]),
        "expires-string": lambda fields: in_json(200, {**fields, "expires": str(_life(fields))}),
        "expires-float": _with(expires=86399.5),
        "expires-negative": _with(expires=-1),
        "expires-zero": _with(expires=0),
        "expires-huge": _with(expires=10**30),
        "expires-infinite": _with(expires=float("inf")),
        "expires-nan": _with(expires=float("nan")),
        "expires-bool": _with(expires=True),
        "expires-unreadable": _with(expires="tomorrow"),
        "expires-in": _named_as_the_rfc,
        "expires-missing": lambda fields: in_json(200, _without_expires(fields)),
        "scope-other": _with(scope="read_inbox"),
        "token-control-characters": _with_line_break,
        "token-empty": _with(access_token=""),
        "token-number": _with(access_token=20261124),
        "token-type-bearer": _with(token_type="bearer"),  # noqa: S106  # no secret
        "token-type-other": _with(token_type="DPoP"),  # noqa: S106  # no secret
        "token-bidi": _with_bidi_override,
        "token-status-500": lambda fields: in_json(500, fields),
        "byte-order-mark": _marked,
        "wrong-content-type": lambda fields: replace(in_json(200, fields), content_type=_HTML),
        "oversized": _oversized,
        "compressed": lambda fields: compressed(_oversized(fields), "gzip"),
        "huge-header": _behind_a_header,
    }
)
"""Ways to say that a token was issued, which it truly was."""
