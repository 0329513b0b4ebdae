"""`soe-auth api`, against a site that answers anything."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from soe_auth.sandbox import Sandbox

Reply = tuple[int, dict[str, str], bytes]

TOKEN = "s3cret(1)*"  # it is made up


class ApiSite:
    """A site on this machine that answers each call with `reply`, and records the calls."""

    def __init__(self) -> None:
        self.reply: Callable[[str], Reply] = lambda _: (200, {}, b"{}")
        self.calls: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                site.calls.append((self.command, self.path))
                site.headers.append({name.lower(): value for name, value in self.headers.items()})
                site.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                status, headers, body = site.reply(self.path)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply = lambda _: (status, fields, data)


@pytest.fixture
def api_site() -> Iterator[ApiSite]:
    site = ApiSite()
    thread = threading.Thread(target=site.server.serve_forever)
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


@pytest.fixture
def api(soe_auth: Command, api_site: ApiSite) -> Command:
    return soe_auth.with_variables(SOE_AUTH_TOKEN=TOKEN, SOE_AUTH_SITE=api_site.url)


def test_after_a_login_the_api_returns_the_account(signed_in: Command, site: Sandbox) -> None:
    done = signed_in("api", "users/me")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["name"] == "Jane Doe"
    done = signed_in("api", f"{site.url}/api/2.3/me")
    assert json.loads(done.stdout)["items"][0]["display_name"] == "Jane Doe"


def test_the_response_body_is_printed_unchanged(api: Command, api_site: ApiSite) -> None:
    api_site.answers(rb'{"b":1,  "a":"\u00e9"}')
    done = api("api", "tags", "-f", "q=a b", "-H", "X-API-Key: k")
    assert done.stdout == '{"b":1,  "a":"\\u00e9"}\n'
    assert api_site.calls == [("GET", "/api/v3/tags?q=a+b")]
    (headers,) = api_site.headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-api-key"] == "k"


def test_api_2_3_has_the_token_in_its_own_header(api: Command, api_site: ApiSite) -> None:
    assert api("api", "me", "--api", "v2.3").returncode == 0
    assert api_site.calls == [("GET", "/api/2.3/me")]
    (headers,) = api_site.headers
    assert headers["x-api-access-token"] == TOKEN
    assert "authorization" not in headers


def test_a_body_comes_from_fields_a_file_or_standard_input(
    api: Command, api_site: ApiSite, tmp_path: Path
) -> None:
    assert api("api", "tags", "-X", "PUT", "-f", "name=x").returncode == 0
    assert api("api", "tags", "--input", "-", stdin='{"b": 2}').returncode == 0
    (tmp_path / "body.json").write_bytes(b"[3]")
    assert api("api", "tags", "--input", str(tmp_path / "body.json")).returncode == 0
    assert api_site.bodies == [b'{"name": "x"}', b'{"b": 2}', b"[3]"]
    assert [method for method, _ in api_site.calls] == ["PUT", "POST", "POST"]
    absent = api("api", "tags", "--input", str(tmp_path / "absent"))
    assert (absent.returncode, len(api_site.calls)) == (2, 3)


def test_status_and_headers_are_printed_on_request(api: Command, api_site: ApiSite) -> None:
    api_site.answers({}, X_Echo=f"Bearer {TOKEN}")
    lines = api("api", "x", "-i").stdout.splitlines()
    assert lines[0] == "HTTP 200"
    assert "x-echo: Bearer …" in [line.replace("X-Echo", "x-echo") for line in lines]
    assert lines[-2:] == ["", "{}"]


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        ((400, {}, b'{"error_message": "No such tag."}'), 5, "HTTP 400: No such tag."),
        ((403, {}, b'{"title": "Forbidden", "detail": "You may not"}'), 5, "Read-write"),
        ((404, {}, b""), 5, "HTTP 404."),
        ((429, {"Retry-After": "1"}, b"{}"), 5, "HTTP 429."),
        ((500, {"Content-Type": "text/html"}, b"<html>"), 5, "HTTP 500."),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), 5, "Redirects are not followed"),
        (
            (401, {}, b"Invalid access token"),
            3,
            "refused the token (HTTP 401: Invalid access token)",
        ),
        ((200, {"Content-Encoding": "gzip"}, b"x"), 5, "cannot be decompressed"),
        ((200, {"Content-Length": "9"}, b"x"), 6, "did not send its whole answer"),
    ],
)
def test_an_error_has_the_sites_message_and_an_exit_code(
    api: Command, api_site: ApiSite, reply: Reply, code: int, words: str
) -> None:
    api_site.reply = lambda _: reply
    done = api("api", "x")
    assert done.returncode == code
    assert words in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert len(api_site.calls) == 1


def test_an_unreachable_site_is_exit_6_and_a_missing_token_exit_3(
    api: Command, api_site: ApiSite, soe_auth: Command
) -> None:
    dead = api.with_variables(SOE_AUTH_SITE="http://127.0.0.1:1")("api", "x")
    assert dead.returncode == 6
    without = soe_auth.with_variables(SOE_AUTH_SITE=api_site.url, SOE_AUTH_CLIENT_ID="110")(
        "api", "x"
    )
    assert without.returncode == 3
    assert not api_site.calls


@pytest.mark.parametrize(
    "words",
    [
        ["https://evil.example/x"],
        ["../x"],
        ["x", "-H", "Authorization: Bearer y"],
        ["x", "-f", "y"],
        ["x", "-X", "GE T"],
        ["x", "--api", "v4"],
        [],
    ],
)
def test_an_invalid_call_is_not_sent(api: Command, api_site: ApiSite, words: list[str]) -> None:
    assert api("api", *words).returncode == 2
    assert not api_site.calls


def test_paginate_prints_every_page_and_waits_for_the_rate_limit(
    api: Command, api_site: ApiSite
) -> None:
    limited: list[str] = []

    def page(path: str) -> Reply:
        if "page=2" in path and not limited:
            limited.append(path)
            return 429, {"Retry-After": "1"}, b"{}"
        number = 1 + path.count("page=2") + 2 * path.count("page=3")
        return 200, {}, json.dumps({"page": number, "totalPages": 3}).encode()

    api_site.reply = page
    done = api("api", "tags", "--paginate", "-f", "pageSize=1")
    assert done.returncode == 0
    assert [json.loads(line)["page"] for line in done.stdout.splitlines()] == [1, 2, 3]
    queries = ["", "&page=2", "&page=2", "&page=3"]
    assert api_site.calls == [("GET", f"/api/v3/tags?pageSize=1{more}") for more in queries]


def test_paginate_follows_has_more_of_api_2_3(api: Command, api_site: ApiSite) -> None:
    def page(path: str) -> Reply:
        body: dict[str, Any] = {"has_more": "page=2" not in path, "backoff": 1}
        return 200, {}, json.dumps(body).encode()

    api_site.reply = page
    done = api("api", "tags", "--api", "v2.3", "--paginate")
    assert [json.loads(line)["has_more"] for line in done.stdout.splitlines()] == [True, False]


def test_a_project_file_alone_does_not_choose_the_site_for_the_variable(
    soe_auth: Command, api_site: ApiSite, tmp_path: Path
) -> None:
    (tmp_path / ".soe-auth.toml").write_text(f'site = "{api_site.url}"\nclient_id = "110"\n')
    done = soe_auth.with_variables(SOE_AUTH_TOKEN=TOKEN).within(tmp_path)("api", "users/me")
    assert done.returncode == 2
    assert not api_site.calls


@pytest.mark.posix("types at a pseudo-terminal")
def test_on_a_terminal_json_is_indented_and_control_characters_are_escaped(
    api: Command, api_site: ApiSite
) -> None:
    api_site.answers(b'{"name": "\xc2\x9b31m\xe2\x80\xae", "tags": ["\xc3\xa9"]}')
    terminal = api.on_a_terminal("api", "users/me")
    text = terminal.read()
    terminal.close()
    assert '{\r\n  "name": "\\u009b31m\\u202e",\r\n  "tags": [\r\n    "é"' in text
