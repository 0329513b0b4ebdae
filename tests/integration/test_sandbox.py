"""What a browser meets on the sandbox: authorization, sign-in, consent, and the pages."""

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
    """Sends the forms of pages as well."""

    async def press(self, page: Answer, **button: str) -> Answer:
        action = found(r'<form[^>]* action="([^"]*)"', page)
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
        form = {name: html.unescape(value) for name, value in hidden}
        return await self.send(action, "POST", {**form, **button})

    async def sign_in(self, account: int = 1, back: str = "/") -> Answer:
        page = await self.send(f"/users/login?returnurl={quote(back, safe='')}")
        return await self.press(page, account=str(account))


@dataclass
class Tale:
    sentences: list[str] = field(default_factory=list)

    def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)


def found(pattern: str, page: Answer) -> str:
    match = re.search(pattern, page.text)
    assert match, page.text
    return html.unescape(match[1])


@pytest.fixture
def tale() -> Tale:
    return Tale()


@pytest.fixture
async def site(tale: Tale) -> AsyncIterator[Sandbox]:
    async with Sandbox(narrate=tale, strict=True) as site:
        yield site


@pytest.fixture
async def browser(site: Sandbox) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(session, site)


def test_the_challenge_of_these_tests_is_the_one_of_their_verifier() -> None:
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == CHALLENGE


# The authorization request


async def test_a_person_signs_in_approves_and_goes_back_with_code_and_state(
    browser: Browser, tale: Tale
) -> None:
    asked = request_for(scope="write_access")
    sent_on = await browser.send(asked)
    assert sent_on.status == 303
    assert sent_on.location.startswith("/users/login?returnurl=%2Foauth%3F")
    page = await browser.send(sent_on.location)
    back = await browser.press(page, account="1")
    assert (back.status, back.location) == (303, asked)
    consent = await browser.send(back.location)
    assert consent.status == 200
    granted = await browser.press(consent, decision="approve")
    assert granted.status == 303
    assert granted.location.startswith(f"{CALLBACK}?code=")
    assert set(granted.brought) == {"code", "state"}
    assert granted.brought["state"] == STATE
    assert "Jane Doe signed in." in tale.sentences
    assert "The application 'Loopback tools' asks for: read, write_access." in tale.sentences
    assert "Jane Doe approved." in tale.sentences


async def test_a_code_holds_characters_that_must_be_percent_encoded(browser: Browser) -> None:
    await browser.sign_in()
    granted = await browser.press(await browser.send(request_for()), decision="approve")
    assert set("()*") <= set(granted.brought["code"])
    assert not set("()*") & set(granted.location)
    assert len(granted.brought["code"]) > 43


async def test_state_comes_back_only_if_it_was_sent(browser: Browser) -> None:
    await browser.sign_in()
    for asked in (request_for(state=None), request_for(state="")):
        page = await browser.send(asked)
        granted = await browser.press(page, decision="approve") if page.status == 200 else page
        assert set(granted.brought) == {"code"}


async def test_a_query_in_the_redirect_uri_is_kept(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for(redirect_uri=f"{CALLBACK}?a=b"))
    granted = await browser.press(page, decision="approve")
    assert granted.location.startswith(f"{CALLBACK}?a=b&code=")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (request_for() + "&state=again", "sent more than once"),
        (request_for(response_type="code"), "'response_type' was sent that is not taken"),
        (request_for(**{"A-SECRET": "1"}), "A parameter was sent that is not taken"),
        (request_for(client_id="999"), "No application with this client_id"),
        (request_for(client_id=None), "No application with this client_id"),
        (request_for(client_id="113"), "redirect_uri is not configured"),
        (request_for(redirect_uri=None), "redirect_uri is missing"),
        (request_for(redirect_uri="http://localhost:1/a b"), "characters that no URI has"),
        (request_for(redirect_uri="http://localhost:1/\\x"), "characters that no URI has"),
        (request_for(redirect_uri=f"{CALLBACK}#"), "has a fragment"),
        (request_for(redirect_uri="http://[::1/"), "is not a URI"),
        (request_for(redirect_uri="http://localhost:99999/"), "is not a URI"),
        (request_for(redirect_uri="/callback"), "not an absolute http or https URI"),
        (request_for(redirect_uri="tool://localhost/"), "not an absolute http or https URI"),
        (request_for(redirect_uri="http://localhost@evil.example/"), "has user-info"),
        (request_for(redirect_uri="http://localhost:/"), "no proper host and port"),
        (request_for(redirect_uri="http://localhost:0/"), "no proper host and port"),
        (request_for(redirect_uri="http:///callback"), "no proper host and port"),
        (request_for(redirect_uri="http://tools.example:1/"), "for loopback hosts only"),
        (request_for(redirect_uri="http://127.0.0.1:5555/"), "is not localhost or below"),
        (request_for(redirect_uri="http://[::1]:5555/"), "is not localhost or below"),
        (request_for(redirect_uri="https://evil.example/"), "is not localhost or below"),
        (request_for(redirect_uri="https://evillocalhost/"), "is not localhost or below"),
        (request_for(client_id="111"), "is not 127.0.0.1 or below"),
        (
            request_for(client_id="111", redirect_uri="https://1.127.0.0.1/"),
            "is not 127.0.0.1 or below",
        ),
        (request_for(client_id="112"), "The Domain names port"),
        (request_for(state="caf\u00e9"), "no state may have"),
        ("/oauth?client_id=%zz", "not properly percent-encoded"),
        ("/oauth?client_id=%ff", "not form-encoded"),
        ("/oauth?client_id", "not form-encoded"),
        ("/oauth?" + "&".join(f"a{number}=1" for number in range(30)), "not form-encoded"),
        ("/oauth", "No application with this client_id"),
    ],
)
async def test_a_request_that_cannot_be_trusted_ends_on_a_page(
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
async def test_a_wrong_request_from_a_trusted_place_is_told_so_there(
    browser: Browser, changes: dict[str, str | None], error: str, words: str
) -> None:
    refused = await browser.send(request_for(**changes))
    assert refused.status == 303
    assert refused.location.startswith(f"{CALLBACK}?error=")
    assert refused.brought["error"] == error
    assert words in refused.brought["error_description"]
    assert refused.brought["state"] == STATE


async def test_every_known_scope_may_be_asked_for_in_one_breath(browser: Browser) -> None:
    await browser.sign_in()
    scope = "read_inbox,no_expiry,write_access,private_info,access_team"
    page = await browser.send(request_for(scope=scope))
    for words in (
        "Read your inbox",
        "no end date",
        "Write in your name",
        "that others cannot see",
        "the private team that you pick",
    ):
        assert words in page.text


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_only_get_is_taken_at_the_authorization_endpoint(
    browser: Browser, method: str
) -> None:
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
async def test_a_redirect_uri_lies_under_the_domain_or_not(
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
def test_a_domain_that_is_no_host_cannot_be_registered(domain: str) -> None:
    with pytest.raises(ValueError, match=r"Domain|Port"):
        Application("7", "Seven", domain)


@pytest.mark.parametrize(
    "settings",
    [
        {"applications": [DEFAULT_APPLICATIONS[0]] * 2},
        {"accounts": [DEFAULT_ACCOUNTS[0]] * 2},
    ],
)
def test_an_id_is_given_once(settings: dict[str, list[object]]) -> None:
    with pytest.raises(ValueError, match="given twice"):
        Sandbox(**settings)  # type: ignore[arg-type]  # one of the two, by name


@pytest.mark.parametrize(
    ("domain", "is_taken"),
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
async def test_a_form_that_wants_a_top_level_domain_takes_no_other(
    domain: str, *, is_taken: bool
) -> None:
    seven = Application("7", "Seven", domain)
    async with (
        Sandbox(applications=[seven], domain_rule="tld") as site,
        aiohttp.ClientSession() as session,
    ):
        browser = Browser(session, site)
        page = await browser.send(request_for(client_id="7"))
        home = await browser.send("/")
    assert ("redirect_uri is not configured" in page.text) is not is_taken
    assert ("left empty" in home.text) is not is_taken


# What a site takes, and no one should send


@pytest.fixture
async def lenient(tale: Tale) -> AsyncIterator[Browser]:
    async with Sandbox(narrate=tale) as site, aiohttp.ClientSession() as session:
        yield Browser(session, site)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"response_type": "code"}, "response_type is sent"),
        ({"scope": "write_access no_expiry"}, "scopes are joined by spaces"),
        ({"scope": "write_access, no_expiry"}, "scopes are joined by spaces"),
    ],
)
async def test_what_other_clients_ask_is_taken_and_told_to_be_bad_style(
    lenient: Browser, tale: Tale, changes: dict[str, str | None], why: str
) -> None:
    await lenient.sign_in()
    page = await lenient.send(request_for(**changes))
    assert page.status == 200
    assert ("Write in your name" in page.text) == ("scope" in changes)
    [told] = [sentence for sentence in tale.sentences if "Bad style" in sentence]
    assert why in told
    assert "code" in (await lenient.press(page, decision="approve")).brought


async def test_a_response_type_other_than_code_is_not_supported(lenient: Browser) -> None:
    refused = await lenient.send(request_for(response_type="token"))
    assert refused.brought["error"] == "unsupported_response_type"


async def test_plain_http_is_for_any_host_of_the_domain_unless_the_site_is_strict() -> None:
    settings = {"applications": [Application("7", "Seven", "login.corp.example")]}
    asked = request_for(client_id="7", redirect_uri="http://login.corp.example:5555/callback")
    async with aiohttp.ClientSession() as session:
        for strict, status in ((False, 303), (True, 400)):
            async with Sandbox(**settings, strict=strict) as site:  # type: ignore[arg-type]
                assert (await Browser(session, site).send(asked)).status == status


# Private teams


async def test_the_person_picks_the_team_once(browser: Browser, tale: Tale) -> None:
    await browser.sign_in()
    page = await browser.send(request_for(scope="access_team"))
    assert '<option value="research">' in page.text
    assert "code" in (await browser.press(page, team="research", decision="approve")).brought
    assert "Jane Doe picked the team research." in tale.sentences
    assert "code" in (await browser.send(request_for(scope="access_team"))).brought


@pytest.mark.parametrize("picked", [{}, {"team": "nowhere"}])
async def test_a_team_has_to_be_picked(browser: Browser, picked: dict[str, str]) -> None:
    await browser.sign_in()
    page = await browser.send(request_for(scope="access_team"))
    answer = await browser.press(page, decision="approve", **picked)
    assert (answer.status, "There is no such team" in answer.text) == (400, True)


async def test_without_access_team_there_is_no_team_to_pick(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for())
    assert "<select" not in page.text


# Signing in and out


async def test_the_sign_in_page_offers_the_practice_accounts(browser: Browser) -> None:
    page = await browser.send("/users/login")
    for account in DEFAULT_ACCOUNTS:
        assert account.name in page.text
        assert account.role in page.text
    assert "No password is asked" in page.text


async def test_the_session_cookie_is_kept_from_scripts_and_other_sites(browser: Browser) -> None:
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
    "elsewhere",
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
async def test_the_way_back_from_signing_in_stays_on_the_site(
    browser: Browser, elsewhere: str
) -> None:
    page = await browser.send(f"/users/login?returnurl={quote(elsewhere, safe='')}")
    assert page.status == 400
    form = await browser.send("/users/login")
    answer = await browser.press(form, account="1", returnurl=elsewhere)
    assert answer.status == 400
    assert not answer.location


async def test_the_sign_in_page_takes_one_way_back(browser: Browser) -> None:
    page = await browser.send("/users/login?returnurl=/&returnurl=/")
    assert page.status == 400
    assert "sent more than once" in page.text


async def test_an_account_that_is_not_offered_cannot_sign_in(browser: Browser) -> None:
    page = await browser.send("/users/login")
    answer = await browser.press(page, account="99")
    assert answer.status == 400
    assert "no such practice account" in answer.text


@pytest.mark.parametrize("path", ["/users/login", "/users/logout", "/oauth/decision"])
async def test_a_form_made_elsewhere_is_refused(browser: Browser, path: str) -> None:
    await browser.sign_in()
    for form in ({}, {"csrf": "forged"}):
        answer = await browser.send(path, "POST", {"csrf": "", **form})
        assert answer.status == 403
    browser.session.cookie_jar.clear()
    answer = await browser.send(path, "POST", {"csrf": "forged"})
    assert answer.status == 403


async def test_a_form_with_a_field_too_many_is_refused(browser: Browser) -> None:
    page = await browser.send("/users/login")
    assert (await browser.press(page, account="1", more="1")).status == 400


async def test_a_person_can_sign_out(browser: Browser, tale: Tale) -> None:
    await browser.sign_in(2)
    home = await browser.send("/")
    assert "Signed in as <strong>John Doe</strong>" in home.text
    assert (await browser.press(home)).location == "/"
    assert "Signed in" not in (await browser.send("/")).text
    assert (await browser.send(request_for())).location.startswith("/users/login")
    assert "John Doe signed out." in tale.sentences


async def test_signing_out_before_signing_in_is_no_event(browser: Browser, tale: Tale) -> None:
    token = found(r'name="csrf" value="([^"]*)"', await browser.send("/users/login"))
    assert (await browser.send("/users/logout", "POST", {"csrf": token})).status == 303
    assert tale.sentences == []


# Consent


async def test_the_consent_page_names_everything_that_matters(browser: Browser) -> None:
    await browser.sign_in(3)
    page = await browser.send(request_for(scope="write_access"))
    for words in ("Loopback tools", "Site Admin", browser.site.url, CALLBACK, "lasts 24 h"):
        assert words in page.text
    link = found(r'<a href="(/users/login[^"]*)"', page)
    assert (await browser.send(link)).status == 200


async def test_a_refusal_goes_back_in_the_form_of_the_rfc(browser: Browser, tale: Tale) -> None:
    await browser.sign_in()
    refused = await browser.press(await browser.send(request_for()), decision="cancel")
    assert refused.status == 303
    assert refused.brought["error"] == "access_denied"
    assert refused.brought["error_description"]
    assert refused.brought["state"] == STATE
    assert "Jane Doe refused." in tale.sentences


async def test_an_approval_is_remembered_per_account_application_and_scope(
    browser: Browser, tale: Tale
) -> None:
    await browser.sign_in()
    await browser.press(await browser.send(request_for(scope="write_access")), decision="approve")
    again = await browser.send(request_for(scope="write_access"))
    assert set(again.brought) == {"code", "state"}
    assert "Jane Doe approved this before: no click is needed." in tale.sentences
    assert (await browser.send(request_for(scope="no_expiry"))).status == 200
    assert (await browser.send(request_for())).status == 200
    await browser.sign_in(2)
    assert (await browser.send(request_for(scope="write_access"))).status == 200


async def test_a_refusal_is_not_remembered(browser: Browser) -> None:
    await browser.sign_in()
    await browser.press(await browser.send(request_for()), decision="cancel")
    assert (await browser.send(request_for())).status == 200


async def test_a_question_is_answered_once(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for())
    await browser.press(page, decision="cancel")
    again = await browser.press(page, decision="approve")
    assert again.status == 400
    assert "answered already" in again.text


async def test_an_answer_is_yes_or_no(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.press(await browser.send(request_for()), decision="perhaps")
    assert page.status == 400


async def test_a_question_put_to_another_browser_cannot_be_answered(browser: Browser) -> None:
    await browser.sign_in()
    theirs = await browser.send(request_for())
    request = found(r'name="request" value="([^"]*)"', theirs)
    async with aiohttp.ClientSession() as session:
        other = Browser(session, browser.site)
        await other.sign_in(2)
        mine = await other.send(request_for())
        answer = await other.press(mine, decision="approve", request=request)
    assert answer.status == 400


async def test_signing_out_takes_the_question_away(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.send(request_for())
    await browser.sign_in(2)
    assert (await browser.press(page, decision="approve")).status == 403


@pytest.mark.parametrize(
    ("refusal", "state"),
    [("with-state", STATE), ("without-state", None), ("wrong-state", "a-state-that-was-not-sent")],
)
async def test_a_switch_tells_what_state_a_refusal_carries(
    browser: Browser, refusal: str, state: str | None
) -> None:
    browser.site.quirks = Quirks(refusal=refusal)
    refused = await browser.send(request_for(scope="root"))
    assert refused.brought.get("state") == state


async def test_a_switch_adds_the_issuer(browser: Browser) -> None:
    await browser.sign_in()
    await browser.press(await browser.send(request_for()), decision="approve")
    for issuer, sent in (
        ("none", None),
        ("right", browser.site.url),
        ("wrong", "https://elsewhere.example"),
    ):
        browser.site.quirks = Quirks(issuer=issuer)
        assert (await browser.send(request_for())).brought.get("iss") == sent
        assert (await browser.send(request_for(scope="root"))).brought.get("iss") == sent


# TLS


async def test_a_site_may_make_a_certificate_of_its_own() -> None:
    async with Sandbox(tls=True, strict=True) as site:
        assert site.url.startswith("https://localhost:")
        assert site.ca_file
        trusting = ssl.create_default_context(cafile=str(site.ca_file))
        assert [path.name for path in site.ca_file.parent.iterdir()] == ["ca.pem"]
        async with aiohttp.request("GET", site.url, ssl=trusting) as response:
            assert response.status == 200
    assert not site.ca_file.parent.exists()


async def test_a_site_of_tls_leaves_nothing_where_its_port_is_taken() -> None:
    async with Sandbox() as other:
        site = Sandbox(tls=True, port=other.port)
        with pytest.raises(OSError, match=r"."):
            await site.__aenter__()
    assert site.ca_file
    assert not site.ca_file.parent.exists()


# Pages


async def test_the_home_page_tells_what_to_type(browser: Browser) -> None:
    home = await browser.send("/")
    assert f"soe-auth login --site {browser.site.url} --client-id 110" in home.text
    for application in DEFAULT_APPLICATIONS:
        assert application.client_id in home.text
        assert application.name in home.text
    assert f"localhost:{browser.site.port}</code>" in home.text


async def test_a_site_without_applications_has_a_home_page_all_the_same() -> None:
    async with Sandbox(applications=[]) as site, aiohttp.ClientSession() as session:
        assert "--client-id ID" in (await Browser(session, site).send("/")).text


async def test_login_success_shows_nothing_of_its_address(browser: Browser) -> None:
    page = await browser.send("/oauth/login_success?code=the-code&state=the-state")
    assert page.status == 200
    assert "<h1>Authorizing Application</h1>" in page.text
    assert "the-code" not in page.text
    assert "the-state" not in page.text


async def test_login_success_looks_the_same_after_a_refusal(browser: Browser) -> None:
    granted = await browser.send("/oauth/login_success?code=the-code")
    refused = await browser.send("/oauth/login_success?error=access_denied")
    assert refused.body == granted.body


async def test_the_site_itself_can_be_the_redirect(browser: Browser) -> None:
    await browser.sign_in()
    target = f"{browser.site.url}/oauth/login_success"
    page = await browser.send(request_for(client_id="112", redirect_uri=target))
    granted = await browser.press(page, decision="approve")
    assert (await browser.send(granted.location)).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/users/login", "/oauth", "/oauth/login_success", "/nowhere", request_for()]
)
async def test_every_answer_keeps_itself_to_itself(browser: Browser, path: str) -> None:
    page = await browser.send(path)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "base-uri 'none'; frame-ancestors 'none'" in policy
    assert "<script" not in page.text


async def test_the_policy_admits_the_style_that_is_on_the_page(browser: Browser) -> None:
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
async def test_a_form_may_lead_on_to_the_application_and_nowhere_else(
    domain: str, redirect_uri: str, allowed: str
) -> None:
    async with (
        Sandbox(applications=[Application("7", "Seven", domain)], strict=True) as site,
        aiohttp.ClientSession() as session,
    ):
        browser = Browser(session, site)
        sent_on = await browser.send(request_for(client_id="7", redirect_uri=redirect_uri))
        sign_in = await browser.send(sent_on.location)
        assert f"form-action {allowed}" in sign_in.headers["Content-Security-Policy"]
        consent = await browser.send((await browser.press(sign_in, account="1")).location)
        assert f"form-action {allowed}" in consent.headers["Content-Security-Policy"]
        untrusted = await browser.send("/users/login?returnurl=/oauth")
        assert "form-action 'self';" in untrusted.headers["Content-Security-Policy"]


async def test_what_is_registered_is_escaped_on_every_page() -> None:
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
    assert "There is no such page" in page.text


async def test_a_body_too_large_is_refused(browser: Browser) -> None:
    page = await browser.send("/users/login", "POST", {"csrf": "x" * 20_000})
    assert page.status == 413


# Host, sockets, life and death


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
async def test_only_the_names_of_this_computer_are_answered(
    browser: Browser, host: str, status: int
) -> None:
    name = host.format(port=browser.site.port)
    assert (await browser.send("/", headers={"Host": name})).status == status


async def test_a_request_without_a_host_is_turned_away(site: Sandbox) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_both_loopback_addresses_answer_at_one_port(site: Sandbox) -> None:
    for address in ("127.0.0.1", "::1"):
        _, writer = await asyncio.open_connection(address, site.port)
        writer.close()
        await writer.wait_closed()


async def test_a_port_that_is_taken_is_an_error(site: Sandbox) -> None:
    with pytest.raises(OSError, match=r"in use|10048"):
        async with Sandbox(port=site.port):
            pass


async def test_the_end_of_a_site_gives_its_port_back() -> None:
    async with Sandbox() as first:
        port = first.port
    async with Sandbox(port=port) as second:
        assert second.url == f"http://localhost:{port}"


async def test_a_site_is_gone_at_once_even_with_an_answer_open() -> None:
    async with aiohttp.ClientSession() as session:
        asked = asyncio.Event()
        async with Sandbox(quirks=Quirks(token="hang"), narrate=lambda _: asked.set()) as site:
            url = f"{site.url}/oauth/access_token/json"
            hanging = asyncio.create_task(Browser(session, site).send(url, "POST", {"a": "b"}))
            await asked.wait()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await hanging


async def test_a_client_that_stops_half_way_does_not_hold_up_the_end() -> None:
    async with Sandbox() as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = f"POST /users/login HTTP/1.1\r\nHost: localhost:{site.port}\r\n"
        writer.write(f"{head}Content-Length: 10\r\n\r\nab".encode())
        await writer.drain()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1
    writer.close()


async def test_closing_what_never_began_is_no_error() -> None:
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


def test_a_site_in_the_background_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with running(lifetime=60) as site:
        port = site.port
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_site_in_the_background_that_cannot_begin_says_why() -> None:
    with running() as site, pytest.raises(OSError, match=r"in use|10048"), running(port=site.port):
        pass


async def test_two_sites_share_nothing(browser: Browser) -> None:
    await browser.sign_in()
    async with Sandbox() as other:
        there = Browser(browser.session, other)
        assert (await there.send(request_for())).location.startswith("/users/login")


async def test_randomness_comes_from_where_the_caller_says() -> None:
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
async def test_the_consent_page_tells_how_long_a_token_lasts(lifetime: int, words: str) -> None:
    async with Sandbox(lifetime=lifetime) as site, aiohttp.ClientSession() as session:
        browser = Browser(session, site)
        await browser.sign_in()
        assert f"The token lasts {words}." in (await browser.send(request_for())).text
