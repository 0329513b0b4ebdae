"""Calls of the API as values: where they go, what they carry, which page is next."""

import json

import pytest

from soe_auth import Secret, Site
from soe_auth.oauth.api_call import ApiCall, SiteResponse, at_page, new_api_call, next_page

ACME = Site.parse("acme")
ROOT = "https://acme.stackenterprise.co"


def call_of(
    path: str,
    api: str = "v3",
    *,
    method: str | None = None,
    fields: tuple[str, ...] = (),
    headers: tuple[str, ...] = (),
    content: bytes | None = None,
) -> ApiCall:
    return new_api_call(
        path, ACME, api, method=method, fields=fields, headers=headers, content=content
    )


@pytest.mark.parametrize(
    ("typed", "api", "path"),
    [
        ("users/me", "v3", "/api/v3/users/me"),
        ("/users/me", "v3", "/api/v3/users/me"),
        ("me", "v2.3", "/api/2.3/me"),
        ("/api/v3/users/me", "v3", "/api/v3/users/me"),
        ("/api/2.3/me", "v3", "/api/2.3/me"),
        ("questions?sort=creation", "v3", "/api/v3/questions?sort=creation"),
        ("tags/c%23", "v3", "/api/v3/tags/c%23"),
        (f"{ROOT}/api/v3/users/me", "v3", "/api/v3/users/me"),
        (f"{ROOT}:443/c/team/api/2.3/me?a=b", "v3", "/c/team/api/2.3/me?a=b"),
    ],
)
def test_a_call_goes_to_the_api_of_the_site(typed: str, api: str, path: str) -> None:
    call = call_of(typed, api)
    assert (call.method, call.path) == ("GET", path)
    assert call.is_v2 == ("/api/2.3/" in path)


@pytest.mark.parametrize(
    "typed",
    [
        "https://evil.example/api/v3/users/me",
        "http://acme.stackenterprise.co/api/v3/users/me",
        f"{ROOT}:8443/api/v3/users/me",
        f"{ROOT}.evil.example/api/v3/users/me",
        "https://user@acme.stackenterprise.co/api/v3/users/me",
        "ftp://acme.stackenterprise.co/x",
        "../oauth/access_token",
        "users/%2e%2E/me",
        "users/./me",
        "users\\me",
        "users me",
        "users/me#x",
        "users/\u00e9",
        "users/\nme",
    ],
)
def test_it_goes_nowhere_else(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]"):
        call_of(typed)


def test_fields_are_a_query_or_a_body() -> None:
    fields = ("q=a b&c", "empty=", "q=2")
    assert call_of("search", fields=fields).path == "/api/v3/search?q=a+b%26c&empty=&q=2"
    assert call_of("search?x=1", fields=("y=2",)).path == "/api/v3/search?x=1&y=2"
    call = call_of("tags", method="put", fields=("name=a=b",))
    assert (call.method, call.path) == ("PUT", "/api/v3/tags")
    assert json.loads(call.content or b"") == {"name": "a=b"}
    assert call.headers == {"Content-Type": "application/json"}


def test_an_input_is_posted() -> None:
    call = call_of("questions", content=b"{}")
    assert (call.method, call.content) == ("POST", b"{}")
    own = call_of("questions", content=b"x", headers=("Content-Type:  text/plain ",))
    assert own.headers == {"Content-Type": "text/plain"}
    query = call_of("questions", method="GET", content=b"{}", fields=("a=b",))
    assert (query.path, query.content) == ("/api/v3/questions?a=b", b"{}")
    with pytest.raises(ValueError, match="-f cannot be used with --input"):
        call_of("questions", content=b"{}", fields=("a=b",))


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Bearer x",
        "X-API-ACCESS-TOKEN: x",
        "Host: evil.example",
        "content-length: 1",
        "no-colon",
        "A b: c",
        "A: b\r\nC: d",
        "A: \u00e9",
    ],
)
def test_a_header_that_is_ours_or_none_is_refused_unquoted(header: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Za-z]") as caught:
        call_of("users/me", headers=(header,))
    assert "evil" not in str(caught.value)
    assert "Bearer" not in str(caught.value)


@pytest.mark.parametrize("method", ["", "GE T", "get\n", "M3THOD"])
def test_a_method_is_a_word(method: str) -> None:
    if method:
        with pytest.raises(ValueError, match="a method is a word"):
            call_of("users/me", method=method)
    else:
        assert call_of("users/me", method=method).method == "GET"


def answer_of(body: object, status: int = 200, **headers: str) -> SiteResponse:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return SiteResponse(
        status, fields, body if isinstance(body, bytes) else json.dumps(body).encode()
    )


@pytest.mark.parametrize(
    ("path", "body", "page"),
    [
        ("tags", {"page": 1, "totalPages": 3}, 2),
        ("tags?page=2", {"page": 2, "totalPages": 3}, 3),
        ("tags?page=3", {"page": 3, "totalPages": 3}, None),
        ("tags?page=x", {"totalPages": 3}, 2),
        ("tags", {"has_more": True}, 2),
        ("tags?page=7", {"has_more": True}, 8),
        ("tags", {"has_more": False}, None),
        ("tags", {"totalPages": "3"}, None),
        ("tags", [], None),
        ("tags", b"<html>", None),
        ("tags", b"[" * 100_000, None),
    ],
)
def test_the_next_page_is_the_one_that_the_answer_promises(
    path: str, body: object, page: int | None
) -> None:
    assert next_page(call_of(path), answer_of(body)) == page


def test_a_call_for_another_page_is_the_same_but_for_that() -> None:
    call = at_page(call_of("tags?sort=name&page=1&e=", fields=("q=a b",)), 2)
    assert call.path == "/api/v3/tags?sort=name&e=&q=a+b&page=2"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            answer_of({"error_id": 400, "error_name": "x", "error_message": "No such tag."}),
            "No such tag",
        ),
        (answer_of({"title": "Forbidden", "detail": "You may not."}), "You may not"),
        (answer_of({"title": "Forbidden"}), "Forbidden"),
        (answer_of({"detail": 7}), ""),
        (
            answer_of(b"Invalid access token", content_type="text/plain; charset=utf-8"),
            "Invalid access token",
        ),
        (answer_of(b"Invalid access token"), "Invalid access token"),
        (answer_of(b"<html>sorry", content_type="text/html"), ""),
        (
            answer_of({"detail": "the token s3cret(1) is \x1b[31mbad"}),
            "the token … is \ufffd[31mbad",
        ),
    ],
)
def test_the_words_of_an_error_are_the_sites_without_the_token(
    answer: SiteResponse, words: str
) -> None:
    assert answer.reason(Secret("s3cret(1)")) == words


@pytest.mark.parametrize(
    ("said", "pause"),
    [("3", 3.0), ("", 2.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 2.0), ("86400", None)],
)
def test_a_site_is_waited_for_but_not_for_long(said: str, pause: float | None) -> None:
    assert answer_of({}, 429, retry_after=said).retry_after == pause
    assert answer_of({"backoff": 10}).backoff == 10.0
    assert answer_of({"backoff": 10_000}).backoff is None
    assert answer_of({}).backoff == 0.0
