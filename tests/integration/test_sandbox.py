"""The sandbox in a browser: authorization, sign-in, consent, pages, and its start and end."""

import asyncio
import base64
import hashlib
import html
import os
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import trustme
from sandbox_client import CALLBACK, CHALLENGE, STATE, VERIFIER, Answer, Client, request_for

from soe_auth.sandbox import (
    DEFAULT_ACCOUNTS,
    DEFAULT_APPLICATIONS,
    OWN_DOMAIN,
    Account,
    Application,
    Quirks,
    Sandbox,
    running,
)


@dataclass
class Browser(Client):
    """Also sends the forms of pages."""

    async def press(self, page: Answer, **button: str) -> Answer:
        action = found(r'<form[^>]* action="([^"]*)"', page)
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
        form = {name: html.unescape(value) for name, value in hidden}
        return await self.send(action, "POST", {**form, **button})

    async def sign_in(self, account: int = 1, back: str = "/") -> Answer:
        page = await self.send(f"/users/login?returnurl={quote(back, safe='')}")
        return await self.press(page, account=str(account))


@dataclass
class Narration:
    sentences: list[str] = field(default_factory=list)

    def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)


def found(pattern: str, page: Answer) -> str:
    match = re.search(pattern, page.text)
    assert match, page.text
    return html.unescape(match[1])


@pytest.fixture
def narration() -> Narration:
    return Narration()


@pytest.fixture
async def site(narration: Narration) -> AsyncIterator[Sandbox]:
    async with Sandbox(narrate=narration, strict=True) as site:
        yield site


@pytest.fixture
async def browser(site: Sandbox) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(session, site)


def test_the_challenge_constant_matches_the_verifier_constant() -> None:
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == CHALLENGE


# The authorization request


async def test_sign_in_and_approval_redirect_with_code_and_state(
    browser: Browser, narration: Narration
) -> None:
    path = request_for(scope="write_access")
    to_sign_in = await browser.send(path)
    assert to_sign_in.status == 303
    assert to_sign_in.location.startswith("/users/login?returnurl=%2Foauth%3F")
    page = await browser.send(to_sign_in.location)
    assert "<q>Loopback tools</q> asks for access" in page.text
    back = await browser.press(page, account="1")
    assert (back.status, back.location) == (303, path)
    consent = await browser.send(back.location)
    assert consent.status == 200
    granted = await browser.press(consent, decision="approve")
    assert granted.status == 303
    assert granted.location.startswith(f"{CALLBACK}?code=")
    assert set(granted.parameters) == {"code", "state"}
    assert granted.parameters["state"] == STATE
    assert "Jane Doe signed in." in narration.sentences
    assert "The application 'Loopback tools' requests: read, write_access." in narration.sentences
    assert "Jane Doe approved." in narration.sentences


async def test_a_code_has_characters_that_must_be_percent_encoded(browser: Browser) -> None:
    await browser.sign_in()
    granted = await browser.press(await browser.send(request_for()), decision="approve")
    assert set("()*") <= set(granted.parameters["code"])
    assert not set("()*") & set(granted.location)
    assert len(granted.parameters["code"]) > 43


async def test_state_is_returned_only_if_it_was_sent(browser: Browser) -> None:
    await browser.sign_in()
    for path in (request_for(state=None), request_for(state="")):
        page = await browser.send(path)
        granted = await browser.press(page, decision="approve") if page.status == 200 else page
        assert set(granted.parameters) == {"code"}


async def test_a_query_in_the_redirect_uri_is_kept(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for(redirect_uri=f"{CALLBACK}?a=b"))
    granted = await browser.press(page, decision="approve")
    assert granted.location.startswith(f"{CALLBACK}?a=b&code=")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (request_for() + "&state=again", "sent more than once"),
        (request_for(response_type="code"), "'response_type' is not accepted"),
        (request_for(**{"A-SECRET": "1"}), "The parameter is not accepted here"),
        (request_for(client_id="999"), "No application with this client_id"),
        (request_for(client_id=None), "No application with this client_id"),
        (request_for(client_id="113"), "The Domain of the application is empty"),
        (request_for(redirect_uri=None), "redirect_uri is missing or has invalid"),
        (request_for(redirect_uri="http://localhost:1/a b"), "has invalid characters"),
        (request_for(redirect_uri="http://localhost:1/\\x"), "has invalid characters"),
        (request_for(redirect_uri=f"{CALLBACK}#"), "has a fragment"),
        (request_for(redirect_uri="http://[::1/"), "is not a URI"),
        (request_for(redirect_uri="http://localhost:99999/"), "is not a URI"),
        (request_for(redirect_uri="/callback"), "not an absolute http or https URI"),
        (request_for(redirect_uri="tool://localhost/"), "not an absolute http or https URI"),
        (request_for(redirect_uri="http://localhost@evil.example/"), "has user information"),
        (request_for(redirect_uri="http://localhost:/"), "no valid host and port"),
        (request_for(redirect_uri="http://localhost:0/"), "no valid host and port"),
        (request_for(redirect_uri="http:///callback"), "no valid host and port"),
        (request_for(redirect_uri="http://tools.example:1/"), "for loopback hosts only"),
        (request_for(redirect_uri="http://127.0.0.1:5555/"), "is not localhost or a subdomain"),
        (request_for(redirect_uri="http://[::1]:5555/"), "is not localhost or a subdomain"),
        (request_for(redirect_uri="https://evil.example/"), "is not localhost or a subdomain"),
        (request_for(redirect_uri="https://evillocalhost/"), "is not localhost or a subdomain"),
        (request_for(client_id="111"), "is not 127.0.0.1 or a subdomain"),
        (
            request_for(client_id="111", redirect_uri="https://1.127.0.0.1/"),
            "is not 127.0.0.1 or a subdomain",
        ),
        (request_for(client_id="112"), "The Domain has port"),
        (request_for(state="caf\u00e9"), "state has invalid characters"),
        ("/oauth?client_id=%zz", "not properly percent-encoded"),
        ("/oauth?client_id=%ff", "not form-encoded"),
        ("/oauth?client_id", "not form-encoded"),
        ("/oauth?" + "&".join(f"a{number}=1" for number in range(30)), "not form-encoded"),
        ("/oauth", "No application with this client_id"),
    ],
)
async def test_a_request_without_a_valid_redirect_uri_ends_on_an_error_page(
    browser: Browser, path: str, words: str
) -> None:
    page = await browser.send(path)
    assert page.status == 400
    assert not page.location
    assert words in html.unescape(page.text)


@pytest.mark.rfc("9700-4.8.2")
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"code_challenge": None}, "invalid_request", "is required"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request", "43 characters"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request", "43 characters"),
        ({"code_challenge": "+" + CHALLENGE[1:]}, "invalid_request", "43 characters"),
        ({"code_challenge_method": "plain"}, "invalid_request", "not S256"),
        ({"code_challenge_method": None}, "invalid_request", "not S256"),
        ({"scope": "root"}, "invalid_scope", "unknown"),
        ({"scope": "write_access,"}, "invalid_scope", "unknown"),
        ({"scope": "access_team|red"}, "invalid_scope", "unknown"),
        ({"client_id": "115", "scope": "write_access"}, "invalid_scope", "status Read-write"),
        ({"scope": "read_inbox write_access"}, "invalid_scope", "commas"),
        ({"scope": "read_inbox, write_access"}, "invalid_scope", "commas"),
        ({"scope": "no_expiry,no_expiry"}, "invalid_scope", "repeated"),
    ],
)
async def test_an_invalid_request_with_a_valid_redirect_uri_is_redirected_with_an_error(
    browser: Browser, changes: dict[str, str | None], error: str, words: str
) -> None:
    refused = await browser.send(request_for(**changes))
    assert refused.status == 303
    assert refused.location.startswith(f"{CALLBACK}?error=")
    assert refused.parameters["error"] == error
    assert words in refused.parameters["error_description"]
    assert refused.parameters["state"] == STATE


async def test_the_consent_page_explains_all_scopes(browser: Browser) -> None:
    await browser.sign_in()
    scope = "read_inbox,no_expiry,write_access,private_info,access_team"
    page = await browser.send(request_for(scope=scope))
    for words in (
        "Read your inbox",
        "until it is revoked",
        "Write in your name",
        "private details of your account",
        "the private team that you select",
    ):
        assert words in page.text


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_the_authorization_endpoint_accepts_get_only(browser: Browser, method: str) -> None:
    page = await browser.send(request_for(), method)
    assert page.status == 405
    assert page.headers["Allow"] == "GET"


# The Domain


@pytest.mark.parametrize(
    ("domain", "redirect_uri", "is_under"),
    [
        ("tools.example", "https://tools.example/any/path?a=b", True),
        ("https://tools.example", "https://tools.example/", True),
        ("https://tools.example/", "https://a.b.tools.example:8443/", True),
        ("Tools.Example", "https://TOOLS.example/", True),
        ("tools.example", "http://tools.example/", False),
        ("tools.example", "https://example/", False),
        ("tools.example:443", "https://tools.example/", True),
        ("tools.example:8443", "https://tools.example/", False),
        ("[::1]", "http://[::1]:7777/", True),
        ("[::1]", "http://localhost:7777/", False),
        ("localhost:7777", "http://localhost:7777/", True),
        ("localhost:7777", "http://localhost:7778/", False),
        ("http://localhost:80", "http://localhost/", True),
        ("localhost", "http://soe-auth.localhost:7777/", True),
        ("soe-auth.localhost", "http://soe-auth.localhost:7777/", True),
        ("soe-auth.localhost", "http://localhost:7777/", False),
    ],
)
async def test_a_redirect_uri_must_be_under_the_domain(
    domain: str, redirect_uri: str, *, is_under: bool
) -> None:
    async with (
        Sandbox(applications=[Application("7", "Seven", domain)], strict=True) as site,
        aiohttp.ClientSession() as session,
    ):
        page = await Browser(session, site).send(
            request_for(client_id="7", redirect_uri=redirect_uri)
        )
    assert page.status == (303 if is_under else 400)


@pytest.mark.parametrize("domain", ["two words", "localhost:port", "host:99999", "host/path"])
def test_a_domain_must_be_a_host(domain: str) -> None:
    with pytest.raises(ValueError, match=r"Domain|Port"):
        Application("7", "Seven", domain)


@pytest.mark.parametrize(
    "settings",
    [
        {"applications": [DEFAULT_APPLICATIONS[0]] * 2},
        {"accounts": [DEFAULT_ACCOUNTS[0]] * 2},
    ],
)
def test_an_id_must_be_unique(settings: dict[str, list[object]]) -> None:
    with pytest.raises(ValueError, match="appears twice"):
        Sandbox(**settings)  # type: ignore[arg-type]  # one of the two, by name


@pytest.mark.parametrize(
    ("domain", "is_accepted"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("[::1]", False),
        ("soe-auth.localhost", True),
        ("tools.example:8443", True),
        ("https://tools.example/", True),
        ("host.123", False),
        (OWN_DOMAIN, True),
    ],
)
async def test_the_domain_rule_tld_empties_domains_without_a_top_level_domain(
    domain: str, *, is_accepted: bool
) -> None:
    seven = Application("7", "Seven", domain)
    async with (
        Sandbox(applications=[seven], domain_rule="tld") as site,
        aiohttp.ClientSession() as session,
    ):
        browser = Browser(session, site)
        page = await browser.send(request_for(client_id="7"))
        home = await browser.send("/")
    assert ("The Domain of the application is empty" in page.text) is not is_accepted
    assert ('<span class="quiet">empty</span>' in home.text) is not is_accepted


# Requests that the site accepts with a warning


@pytest.fixture
async def lenient(narration: Narration) -> AsyncIterator[Browser]:
    async with Sandbox(narrate=narration) as site, aiohttp.ClientSession() as session:
        yield Browser(session, site)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"response_type": "code"}, "response_type is sent"),
        ({"scope": "write_access no_expiry"}, "scopes are separated by spaces"),
        ({"scope": "write_access, no_expiry"}, "scopes are separated by spaces"),
    ],
)
async def test_a_nonstandard_authorization_request_is_accepted_with_a_warning(
    lenient: Browser, narration: Narration, changes: dict[str, str | None], warning: str
) -> None:
    await lenient.sign_in()
    page = await lenient.send(request_for(**changes))
    assert page.status == 200
    assert ("Write in your name" in page.text) == ("scope" in changes)
    [narrated] = [sentence for sentence in narration.sentences if "bad practice" in sentence]
    assert warning in narrated
    assert "code" in (await lenient.press(page, decision="approve")).parameters


async def test_only_the_response_type_code_is_supported(lenient: Browser) -> None:
    refused = await lenient.send(request_for(response_type="token"))
    assert refused.parameters["error"] == "unsupported_response_type"


async def test_a_strict_site_accepts_plain_http_for_loopback_hosts_only() -> None:
    settings = {"applications": [Application("7", "Seven", "login.corp.example")]}
    path = request_for(client_id="7", redirect_uri="http://login.corp.example:5555/callback")
    async with aiohttp.ClientSession() as session:
        for strict, status in ((False, 303), (True, 400)):
            async with Sandbox(**settings, strict=strict) as site:  # type: ignore[arg-type]
                assert (await Browser(session, site).send(path)).status == status


# Private teams


async def test_the_user_selects_the_team_once(browser: Browser, narration: Narration) -> None:
    await browser.sign_in()
    page = await browser.send(request_for(scope="access_team"))
    assert '<option value="research">' in page.text
    assert "code" in (await browser.press(page, team="research", decision="approve")).parameters
    assert "Jane Doe selected the team research." in narration.sentences
    assert "code" in (await browser.send(request_for(scope="access_team"))).parameters


@pytest.mark.parametrize("choice", [{}, {"team": "nowhere"}])
async def test_a_team_must_be_selected(browser: Browser, choice: dict[str, str]) -> None:
    await browser.sign_in()
    page = await browser.send(request_for(scope="access_team"))
    answer = await browser.press(page, decision="approve", **choice)
    assert (answer.status, "There is no such team" in answer.text) == (400, True)


async def test_without_access_team_no_team_is_offered(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for())
    assert "<select" not in page.text


# Signing in and out


async def test_the_sign_in_page_offers_the_practice_accounts(browser: Browser) -> None:
    page = await browser.send("/users/login")
    for account in DEFAULT_ACCOUNTS:
        assert account.name in page.text
        assert account.role in page.text
    assert "There is no password" in page.text
    assert "asks for access" not in page.text


async def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(browser: Browser) -> None:
    page = await browser.send("/users/login")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith(f"sandbox-session-{browser.site.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


async def test_signing_in_changes_the_session_key(browser: Browser) -> None:
    before = (await browser.send("/users/login")).headers["Set-Cookie"]
    after = (await browser.sign_in()).headers["Set-Cookie"]
    assert before.split(";")[0] != after.split(";")[0]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "x",
        "/a\r\nb",
        "/é",
    ],
)
async def test_sign_in_does_not_redirect_to_another_site(browser: Browser, target: str) -> None:
    page = await browser.send(f"/users/login?returnurl={quote(target, safe='')}")
    assert page.status == 400
    form = await browser.send("/users/login")
    answer = await browser.press(form, account="1", returnurl=target)
    assert answer.status == 400
    assert not answer.location


async def test_the_sign_in_page_accepts_one_returnurl(browser: Browser) -> None:
    page = await browser.send("/users/login?returnurl=/&returnurl=/")
    assert page.status == 400
    assert "sent more than once" in page.text


async def test_an_unknown_account_cannot_sign_in(browser: Browser) -> None:
    page = await browser.send("/users/login")
    answer = await browser.press(page, account="99")
    assert answer.status == 400
    assert "no such practice account" in answer.text


@pytest.mark.parametrize("path", ["/users/login", "/users/logout", "/oauth/decision"])
async def test_a_forged_form_is_refused(browser: Browser, path: str) -> None:
    await browser.sign_in()
    for form in ({}, {"csrf": "forged"}):
        answer = await browser.send(path, "POST", {"csrf": "", **form})
        assert answer.status == 403
    browser.session.cookie_jar.clear()
    answer = await browser.send(path, "POST", {"csrf": "forged"})
    assert answer.status == 403


async def test_a_form_with_an_unknown_field_is_refused(browser: Browser) -> None:
    page = await browser.send("/users/login")
    assert (await browser.press(page, account="1", more="1")).status == 400


async def test_a_user_can_sign_out(browser: Browser, narration: Narration) -> None:
    await browser.sign_in(2)
    home = await browser.send("/")
    assert "Signed in as <strong>John Doe</strong>" in home.text
    assert (await browser.press(home)).location == "/"
    assert "Signed in" not in (await browser.send("/")).text
    assert (await browser.send(request_for())).location.startswith("/users/login")
    assert "John Doe signed out." in narration.sentences


async def test_signing_out_without_an_account_narrates_nothing(
    browser: Browser, narration: Narration
) -> None:
    token = found(r'name="csrf" value="([^"]*)"', await browser.send("/users/login"))
    assert (await browser.send("/users/logout", "POST", {"csrf": token})).status == 303
    assert narration.sentences == []


# Consent


async def test_the_consent_page_names_application_account_site_target_and_expiry(
    browser: Browser,
) -> None:
    await browser.sign_in(3)
    page = await browser.send(request_for(scope="write_access"))
    text = re.sub("<.*?>", "", page.text)
    for words in ("Loopback tools", "Site Admin", browser.site.url, CALLBACK, "after 24 h"):
        assert words in text
    link = found(r'<a href="(/users/login[^"]*)"', page)
    assert (await browser.send(link)).status == 200


async def test_a_refusal_redirects_in_the_form_of_the_rfc(
    browser: Browser, narration: Narration
) -> None:
    await browser.sign_in()
    refused = await browser.press(await browser.send(request_for()), decision="cancel")
    assert refused.status == 303
    assert refused.parameters["error"] == "access_denied"
    assert refused.parameters["error_description"]
    assert refused.parameters["state"] == STATE
    assert "Jane Doe refused." in narration.sentences


async def test_an_approval_is_remembered_per_account_application_and_scope(
    browser: Browser, narration: Narration
) -> None:
    await browser.sign_in()
    await browser.press(await browser.send(request_for(scope="write_access")), decision="approve")
    again = await browser.send(request_for(scope="write_access"))
    assert set(again.parameters) == {"code", "state"}
    assert "Jane Doe approved this before: no click is needed." in narration.sentences
    assert (await browser.send(request_for(scope="no_expiry"))).status == 200
    assert (await browser.send(request_for())).status == 200
    await browser.sign_in(2)
    assert (await browser.send(request_for(scope="write_access"))).status == 200


async def test_a_refusal_is_not_remembered(browser: Browser) -> None:
    await browser.sign_in()
    await browser.press(await browser.send(request_for()), decision="cancel")
    assert (await browser.send(request_for())).status == 200


async def test_a_consent_request_is_decided_once(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for())
    await browser.press(page, decision="cancel")
    again = await browser.press(page, decision="approve")
    assert again.status == 400
    assert "already approved or refused" in again.text


async def test_the_decision_is_approve_or_cancel(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.press(await browser.send(request_for()), decision="perhaps")
    assert page.status == 400


async def test_a_consent_request_belongs_to_one_browser(browser: Browser) -> None:
    await browser.sign_in()
    theirs = await browser.send(request_for())
    request = found(r'name="request" value="([^"]*)"', theirs)
    async with aiohttp.ClientSession() as session:
        other = Browser(session, browser.site)
        await other.sign_in(2)
        mine = await other.send(request_for())
        answer = await other.press(mine, decision="approve", request=request)
    assert answer.status == 400


async def test_signing_out_cancels_the_consent_request(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for())
    await browser.sign_in(2)
    assert (await browser.press(page, decision="approve")).status == 403


@pytest.mark.parametrize(
    ("refusal", "state"),
    [("with-state", STATE), ("without-state", None), ("wrong-state", "a-state-that-was-not-sent")],
)
async def test_a_quirk_sets_the_state_of_a_refusal(
    browser: Browser, refusal: str, state: str | None
) -> None:
    browser.site.quirks = Quirks(refusal=refusal)
    refused = await browser.send(request_for(scope="root"))
    assert refused.parameters.get("state") == state


async def test_a_quirk_adds_the_issuer(browser: Browser) -> None:
    await browser.sign_in()
    await browser.press(await browser.send(request_for()), decision="approve")
    for issuer, sent in (
        ("none", None),
        ("right", browser.site.url),
        ("wrong", "https://elsewhere.example"),
    ):
        browser.site.quirks = Quirks(issuer=issuer)
        assert (await browser.send(request_for())).parameters.get("iss") == sent
        assert (await browser.send(request_for(scope="root"))).parameters.get("iss") == sent


# TLS


async def test_a_tls_site_makes_its_certificate_and_removes_the_ca_file() -> None:
    async with Sandbox(tls=True, strict=True) as site:
        assert site.url.startswith("https://localhost:")
        assert site.ca_file
        trusted = ssl.create_default_context(cafile=str(site.ca_file))
        assert [path.name for path in site.ca_file.parent.iterdir()] == ["ca.pem"]
        async with aiohttp.request("GET", site.url, ssl=trusted) as response:
            assert response.status == 200
    assert not site.ca_file.parent.exists()


async def test_a_tls_site_removes_the_ca_file_if_its_port_is_in_use() -> None:
    async with Sandbox() as other:
        site = Sandbox(tls=True, port=other.port)
        with pytest.raises(OSError, match=r"."):
            await site.__aenter__()
    assert site.ca_file
    assert not site.ca_file.parent.exists()


# Pages


async def test_the_home_page_shows_the_login_command_and_the_applications(browser: Browser) -> None:
    home = await browser.send("/")
    assert f"soe-auth login --site {browser.site.url} --client-id 110" in home.text
    for application in DEFAULT_APPLICATIONS:
        assert application.client_id in home.text
        assert application.name in home.text
    assert f"localhost:{browser.site.port}</code>" in home.text


async def test_a_site_without_applications_has_a_home_page() -> None:
    async with Sandbox(applications=[]) as site, aiohttp.ClientSession() as session:
        assert "--client-id ID" in (await Browser(session, site).send("/")).text


async def test_login_success_does_not_repeat_its_address(browser: Browser) -> None:
    page = await browser.send("/oauth/login_success?code=the-code&state=the-state")
    assert page.status == 200
    assert "<h1>Authorizing Application</h1>" in page.text
    assert "the-code" not in page.text
    assert "the-state" not in page.text


async def test_login_success_looks_the_same_after_a_refusal(browser: Browser) -> None:
    granted = await browser.send("/oauth/login_success?code=the-code")
    refused = await browser.send("/oauth/login_success?error=access_denied")
    assert refused.body == granted.body


async def test_login_success_can_be_the_redirect_uri(browser: Browser) -> None:
    await browser.sign_in()
    target = f"{browser.site.url}/oauth/login_success"
    page = await browser.send(request_for(client_id="112", redirect_uri=target))
    granted = await browser.press(page, decision="approve")
    assert (await browser.send(granted.location)).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/users/login", "/oauth", "/oauth/login_success", "/nowhere", request_for()]
)
async def test_each_answer_has_security_headers(browser: Browser, path: str) -> None:
    page = await browser.send(path)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "base-uri 'none'; frame-ancestors 'none'" in policy
    assert "<script" not in page.text


async def test_the_content_policy_allows_the_style_of_the_page(browser: Browser) -> None:
    page = await browser.send("/")
    style = re.search(r"<style>(.*)</style>", page.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page.headers["Content-Security-Policy"]
    assert "nothing here is real" in page.text


@pytest.mark.parametrize(
    ("domain", "redirect_uri", "allowed"),
    [
        ("localhost", CALLBACK, "'self' http://localhost:5555;"),
        ("[::1]", "http://[::1]:5555/", "'self' http:;"),
    ],
)
async def test_a_form_may_redirect_to_the_application_only(
    domain: str, redirect_uri: str, allowed: str
) -> None:
    async with (
        Sandbox(applications=[Application("7", "Seven", domain)], strict=True) as site,
        aiohttp.ClientSession() as session,
    ):
        browser = Browser(session, site)
        to_sign_in = await browser.send(request_for(client_id="7", redirect_uri=redirect_uri))
        sign_in = await browser.send(to_sign_in.location)
        assert f"form-action {allowed}" in sign_in.headers["Content-Security-Policy"]
        consent = await browser.send((await browser.press(sign_in, account="1")).location)
        assert f"form-action {allowed}" in consent.headers["Content-Security-Policy"]
        untrusted = await browser.send("/users/login?returnurl=/oauth")
        assert "form-action 'self';" in untrusted.headers["Content-Security-Policy"]


async def test_names_are_escaped_on_each_page() -> None:
    account = Account(1, 1, "<b>Jane</b> Doe", "jane.doe@example.com", "<i>")
    application = Application("7", "<u>'Seven'&", "localhost")
    async with (
        Sandbox(applications=[application], accounts=[account]) as site,
        aiohttp.ClientSession() as session,
    ):
        browser = Browser(session, site)
        pages = [await browser.send("/users/login")]
        await browser.press(pages[0], account="1")
        pages += [await browser.send("/"), await browser.send(request_for(client_id="7"))]
    for page in pages:
        assert page.status == 200
        assert not re.search("<b>|<i>|<u>", page.text)
    assert "&lt;u&gt;&#x27;Seven&#x27;&amp;" in pages[2].text


async def test_an_unknown_path_is_a_404_page(browser: Browser) -> None:
    page = await browser.send("/nowhere")
    assert page.status == 404
    assert "Page not found" in page.text


async def test_a_large_body_is_refused(browser: Browser) -> None:
    page = await browser.send("/users/login", "POST", {"csrf": "x" * 20_000})
    assert page.status == 413


# Host, sockets, start and end


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("evil.example:{port}", 421),
        ("localhost", 421),
        ("localhost:1", 421),
        ("localhost.evil.example:{port}", 421),
        ("", 421),
    ],
)
async def test_only_loopback_host_names_are_answered(
    browser: Browser, host: str, status: int
) -> None:
    name = host.format(port=browser.site.port)
    assert (await browser.send("/", headers={"Host": name})).status == status


async def test_a_request_without_a_host_is_refused(site: Sandbox) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_both_loopback_addresses_answer(site: Sandbox) -> None:
    for address in ("127.0.0.1", "::1"):
        _, writer = await asyncio.open_connection(address, site.port)
        writer.close()
        await writer.wait_closed()


async def test_a_port_in_use_is_an_error(site: Sandbox) -> None:
    with pytest.raises(OSError, match=r"in use|10048"):
        async with Sandbox(port=site.port):
            pass


async def test_a_closed_site_frees_its_port() -> None:
    async with Sandbox() as first:
        port = first.port
    async with Sandbox(port=port) as second:
        assert second.url == f"http://localhost:{port}"


async def test_a_site_closes_at_once_with_an_open_request() -> None:
    async with aiohttp.ClientSession() as session:
        received = asyncio.Event()
        async with Sandbox(quirks=Quirks(token="hang"), narrate=lambda _: received.set()) as site:
            url = f"{site.url}/oauth/access_token/json"
            hanging = asyncio.create_task(Browser(session, site).send(url, "POST", {"a": "b"}))
            await received.wait()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await hanging


async def test_a_site_closes_at_once_with_a_half_sent_request() -> None:
    async with Sandbox() as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = f"POST /users/login HTTP/1.1\r\nHost: localhost:{site.port}\r\n"
        writer.write(f"{head}Content-Length: 10\r\n\r\nab".encode())
        await writer.drain()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1
    writer.close()


async def test_a_site_that_never_started_can_be_closed() -> None:
    await Sandbox().__aexit__(None, None, None)


async def test_over_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with (
        Sandbox(ssl_context=server) as site,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client)) as session,
    ):
        assert site.url.startswith("https://localhost:")
        assert "Secure" in (await Browser(session, site).send("/users/login")).headers["Set-Cookie"]


def test_running_leaves_no_thread_and_no_socket() -> None:
    before = set(threading.enumerate())
    with running(lifetime=60) as site:
        port = site.port
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_running_raises_why_it_cannot_start() -> None:
    with running() as site, pytest.raises(OSError, match=r"in use|10048"), running(port=site.port):
        pass


async def test_two_sites_share_no_session(browser: Browser) -> None:
    await browser.sign_in()
    async with Sandbox() as other:
        other_browser = Browser(browser.session, other)
        assert (await other_browser.send(request_for())).location.startswith("/users/login")


async def test_all_randomness_comes_from_the_entropy_argument() -> None:
    drawn: list[int] = []

    def entropy(size: int) -> bytes:
        drawn.append(size)
        return os.urandom(size)

    async with Sandbox(entropy=entropy) as site, aiohttp.ClientSession() as session:
        browser = Browser(session, site)
        await browser.sign_in()
        await browser.press(await browser.send(request_for()), decision="approve")
    assert set(drawn) == {32}


@pytest.mark.parametrize(
    ("lifetime", "words"), [(86400, "24 h"), (600, "10 min"), (90, "90 s"), (0, "0 s")]
)
async def test_the_consent_page_shows_when_the_token_expires(lifetime: int, words: str) -> None:
    async with Sandbox(lifetime=lifetime) as site, aiohttp.ClientSession() as session:
        browser = Browser(session, site)
        await browser.sign_in()
        assert f"The token expires after {words}." in (await browser.send(request_for())).text
