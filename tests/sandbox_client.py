"""Valid requests to the sandbox, and a client that follows no redirects."""

import json
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from yarl import URL

from soe_auth.sandbox import Sandbox

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CALLBACK = "http://localhost:5555/callback"
STATE = "state-of-the-test"


def request_for(**changes: str | None) -> str:
    """Return the path of a valid authorization request with changes; None removes a parameter."""
    parameters: dict[str, str | None] = {
        "client_id": "110",
        "redirect_uri": CALLBACK,
        "state": STATE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    sent = {name: value for name, value in (parameters | changes).items() if value is not None}
    return f"/oauth?{urlencode(sent)}"


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters in the query of a redirect."""
        return dict(parse_qsl(urlsplit(self.location).query))

    @property
    def fields(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def items(self) -> list[dict[str, object]]:
        """The items in an answer of API v2.3, or of a list of v3."""
        found = self.fields["items"]
        assert isinstance(found, list)
        return found


@dataclass
class Client:
    """Sends a request and follows no redirect."""

    session: aiohttp.ClientSession
    site: Sandbox

    async def send(
        self,
        path: str,
        method: str = "GET",
        form: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        url = path if "://" in path else self.site.url + path
        async with self.session.request(
            method, URL(url, encoded=True), data=form, headers=headers, allow_redirects=False
        ) as response:
            return Answer(response.status, dict(response.headers), await response.read())
