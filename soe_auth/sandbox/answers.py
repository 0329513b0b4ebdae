"""What the token endpoint says: the vendor's two shapes, and every way to say them wrongly."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

_JSON: Final = "application/json; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer before it is sent."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def in_json(status: int, value: object) -> Answer:
    """Answer in JSON."""
    return Answer(status, json.dumps(value).encode())


def in_html(status: int, heading: str) -> Answer:
    """Answer with a bare page that is not the site's own."""
    page = (
        f"<!doctype html><html><head><title>{heading}</title></head><body>{heading}</body></html>"
    )
    return Answer(status, page.encode(), _HTML)


def refusal(reason: str) -> Answer:
    """Refuse in the vendor's form."""
    return in_json(400, {"error_message": reason})


def _redirect(status: int) -> Callable[[str], Answer]:
    return lambda elsewhere: Answer(status, b"", _HTML, {"Location": elsewhere})


def _always(answer: Answer) -> Callable[[str], Answer]:
    return lambda _elsewhere: answer


INSTEAD: Final[Mapping[str, Callable[[str], Answer]]] = MappingProxyType(
    {
        "vendor-refusal": _always(refusal("The code is invalid or has expired.")),
        "vendor-error-object": _always(
            in_json(400, {"error": {"type": "invalid_grant", "message": "The code is invalid."}})
        ),
        "rfc-refusal": _always(
            in_json(400, {"error": "invalid_grant", "error_description": "The code is invalid."})
        ),
        "html-error": _always(in_html(400, "Bad Request")),
        "login-page": _always(in_html(200, "Log in to continue")),
        "empty": _always(Answer(200, b"")),
        "server-error": _always(Answer(500, b"Internal Server Error", "text/plain")),
        "unavailable": _always(in_html(503, "Service Unavailable")),
        "redirect-302": _redirect(302),
        "redirect-307": _redirect(307),
    }
)
"""Answers given without a look at the request, as by a proxy; the code stays unspent.

Each takes the URL of the same endpoint under another host name.
"""


def _with(**changes: object) -> Callable[[Fields], Answer]:
    return lambda fields: in_json(200, {**fields, **changes})


def _life(fields: Fields) -> object:
    return fields.get("expires", 86400)  # a token without end is said to have one here, too


def _without_expires(fields: Fields) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "expires"}


def _truncated(fields: Fields) -> Answer:
    whole = in_json(200, fields)
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def _marked(fields: Fields) -> Answer:
    whole = in_json(200, fields)
    return replace(whole, body=b"\xef\xbb\xbf" + whole.body)


def _named_as_the_rfc(fields: Fields) -> Answer:
    return in_json(200, {**_without_expires(fields), "expires_in": _life(fields)})


def _with_line_break(fields: Fields) -> Answer:
    return in_json(200, {**fields, "access_token": f"{fields['access_token']}\r\nX-Added: 1"})


ALTERED: Final[Mapping[str, Callable[[Fields], Answer]]] = MappingProxyType(
    {
        "truncated-json": _truncated,
        "json-list": lambda fields: in_json(200, [fields]),
        "expires-string": lambda fields: in_json(200, {**fields, "expires": str(_life(fields))}),
        "expires-float": _with(expires=86399.5),
        "expires-negative": _with(expires=-1),
        "expires-huge": _with(expires=10**30),
        "expires-unreadable": _with(expires="tomorrow"),
        "expires-in": _named_as_the_rfc,
        "expires-missing": lambda fields: in_json(200, _without_expires(fields)),
        "scope-other": _with(scope="read_inbox"),
        "token-control-characters": _with_line_break,
        "token-empty": _with(access_token=""),
        "token-number": _with(access_token=20261124),
        "byte-order-mark": _marked,
        "wrong-content-type": lambda fields: replace(in_json(200, fields), content_type=_HTML),
        "oversized": _with(padding="x" * 2**20),
    }
)
"""Ways to say that a token was issued, which it truly was."""
