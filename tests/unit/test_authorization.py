import re
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth2 import WebApplicationClient
from protocol_samples import ACME, GOOD, PORT, REDIRECT, REQUEST, arrive, read

from soe_auth import ExchangeRefused, MalformedResponse, Scope, Secret, Site
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.oauth.authorization_request import (
    challenge_of,
    draw_secret,
    login_success_uri,
    new_authorization_request,
    read_redirect_uri,
    redirect_uri_for,
)
from soe_auth.oauth.callback_check import (
    CallbackRequest,
    Denied,
    Granted,
    Stray,
    check_callback,
    check_pasted_url,
    parse_pasted_callback,
)
from soe_auth.oauth.token_endpoint import token_request_body

# --- the authorization request ---


@pytest.mark.rfc("7636-A", "7636-B")
def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.rfc("7636-4.2")
@given(st.binary(min_size=32, max_size=32))
def test_oauthlib_agrees_with_the_challenge(entropy: bytes) -> None:
    verifier = draw_secret(lambda _: entropy)
    theirs = WebApplicationClient("110").create_code_challenge(verifier.reveal(), "S256")
    assert challenge_of(verifier) == theirs


@pytest.mark.rfc("8252-8.9", "7636-7.1", "9700-4.7.1")
def test_state_and_verifier_are_256_bits_each_and_new_each_time() -> None:
    sizes: list[int] = []

    def entropy(size: int) -> bytes:
        sizes.append(size)
        return bytes([len(sizes)]) * size

    request = new_authorization_request(ACME, "110", Scope(), REDIRECT, entropy)
    assert sizes == [32, 32]
    assert request.state != request.code_verifier
    assert len(request.code_verifier.reveal()) == len(request.state.reveal()) == 43


@pytest.mark.rfc("8252-6", "7636-4.3", "6749-4.1.1", "9700-4.8.2")
def test_oauthlib_agrees_with_the_authorize_url_in_all_but_the_dialect() -> None:
    theirs = WebApplicationClient("110").prepare_request_uri(
        "https://acme.stackenterprise.co/oauth",
        redirect_uri=REDIRECT,
        scope="write_access",
        state=REQUEST.state.reveal(),
        code_challenge=challenge_of(REQUEST.code_verifier),
        code_challenge_method="S256",
    )
    expected = dict(parse_qsl(urlsplit(theirs).query))
    assert expected.pop("response_type") == "code"  # SOE does not ask for it, so we do not send it
    assert dict(parse_qsl(urlsplit(REQUEST.url).query)) == expected
    assert urlsplit(REQUEST.url)[:3] == urlsplit(theirs)[:3]


@pytest.mark.rfc("6749-4.1.3", "9700-4.8.2")
def test_oauthlib_agrees_with_the_form_in_all_but_the_dialect() -> None:
    theirs = WebApplicationClient("110").prepare_request_body(
        code="c(o)d*e", redirect_uri=REDIRECT, code_verifier=REQUEST.code_verifier.reveal()
    )
    expected = dict(parse_qsl(theirs))
    assert expected.pop("grant_type") == "authorization_code"  # not in SOE's guide
    ours = token_request_body(REQUEST, Secret("c(o)d*e"))
    assert dict(parse_qsl(ours.reveal())) == expected


@pytest.mark.rfc("8252-8.2", "7636-7.2")
def test_the_authorize_url_speaks_soes_dialect() -> None:
    request = new_authorization_request(
        ACME, "110", Scope.parse("write_access no_expiry"), REDIRECT, bytes
    )
    assert request.url.startswith("https://acme.stackenterprise.co/oauth?")
    assert "scope=no_expiry%2Cwrite_access&" in request.url
    assert "code_challenge_method=S256" in request.url
    assert "response_type" not in request.url


@pytest.mark.rfc("9700-2.3")
def test_no_scope_is_not_sent_at_all() -> None:
    assert "scope" not in new_authorization_request(ACME, "110", Scope(), REDIRECT, bytes).url


@pytest.mark.rfc("8252-8.3", "8252-8.10", "6749-3.1.2", "9700-2.1", "9700-4.4.2.2")
def test_each_site_has_a_redirect_path_of_its_own() -> None:
    assert redirect_uri_for(ACME, "localhost", PORT) == REDIRECT
    sites = (
        *("acme", "https://acme.example:8443", "https://localhost", "http://localhost"),
        *("https://localhost:8300", "http://localhost:8300", "https://http:8300"),
        *("https://[2001:db8::1]:8300", "https://[2001:db8::1:8300]", "https://2001-db8--1:8300"),
        *("http://[::1]", "https://[::1]", "http://127.0.0.1", "https://127.0.0.1"),
    )
    uris = [redirect_uri_for(Site.parse(site), "127.0.0.1", PORT) for site in sites]
    assert len(set(uris)) == len(sites)
    for uri in uris:
        assert re.fullmatch(rf"http://127.0.0.1:{PORT}/callback/[a-z0-9._:-]+", uri)


@pytest.mark.rfc("6749-3.1.2")
def test_a_redirect_uri_given_by_hand_is_absolute_and_without_a_fragment() -> None:
    for good in (
        REDIRECT,
        "https://acme.stackenterprise.co/oauth/login_success",
        "http://soe-auth.localhost:8000/callback",
    ):
        assert read_redirect_uri(good) == good
    for bad in (
        *("/callback", "https://acme.example/x#y", "http://acme.example/", "ftp://x/"),
        *("http://x.localhost.example/", "http://evil.example/.localhost/"),
    ):
        with pytest.raises(ValueError, match="https://"):
            read_redirect_uri(bad)


@pytest.mark.rfc("8252-8.3")
@pytest.mark.parametrize("host", ["soe-auth.localhost", "login.corp.example"])
def test_the_redirects_own_host_is_taken_beside_the_loopbacks(host: str) -> None:
    uri = redirect_uri_for(ACME, host, PORT)
    request = replace(REQUEST, redirect_uri=uri)
    for each in (host, "localhost", "127.0.0.1"):
        assert isinstance(check_callback(arrive(host=f"{each}:{PORT}"), request), Granted)
    for each in ("evil.example", f"x.{host}", f"x{host}"):
        verdict = check_callback(arrive(host=f"{each}:{PORT}"), request)
        assert isinstance(verdict, Stray)
        assert verdict.status == 421


def test_a_request_hides_its_secrets() -> None:
    assert "state-of-this-login" not in repr(REQUEST)
    assert "dBjft" not in repr(REQUEST)


# --- judge ---


@pytest.mark.rfc("6749-4.1.2", "9207-2.4")
def test_the_genuine_redirect_is_granted_with_its_code_decoded_once() -> None:
    assert check_callback(arrive(), REQUEST) == Granted(Secret("c(o)d*e"))
    assert check_callback(arrive({**GOOD, "code": "%28"}), REQUEST) == Granted(Secret("%28"))
    assert check_callback(arrive(host=f"127.0.0.1:{PORT}"), REQUEST) == Granted(Secret("c(o)d*e"))


@pytest.mark.rfc("a web page that sends requests")
def test_what_a_browser_says_of_a_redirect_is_accepted() -> None:
    navigation = arrive(
        sec_fetch_mode="navigate", sec_fetch_dest="document", sec_fetch_site="cross-site"
    )
    assert isinstance(check_callback(navigation, REQUEST), Granted)


@pytest.mark.rfc("6749-3.1")
def test_unknown_parameters_are_ignored() -> None:
    assert isinstance(check_callback(arrive({**GOOD, "session": "x"}), REQUEST), Granted)


@pytest.mark.parametrize(
    ("error", "description"),
    [("access_denied", "No."), ("invalid_scope", ""), ("of_their_own", "x")],
)
def test_a_genuine_error_is_denied(error: str, description: str) -> None:
    query = {"state": GOOD["state"], "error": error, "error_description": description}
    assert check_callback(arrive(query), REQUEST) == Denied(error, description)


@pytest.mark.rfc("6749-10.14")
def test_an_errors_words_are_made_fit_to_show() -> None:
    query = {"state": GOOD["state"], "error": "\x1b[2Jx", "error_description": "a\u202eb\n" * 200}
    verdict = check_callback(arrive(query), REQUEST)
    assert isinstance(verdict, Denied)
    assert verdict.code.isprintable()
    assert verdict.description.isprintable()
    assert len(verdict.description) <= 200


STRAYS = {
    "another user's without the state": (replace(arrive({"code": "c"}), other_user=1234), 403),
    "HEAD": (arrive(method="HEAD"), 405),
    "OPTIONS": (arrive(method="OPTIONS"), 405),
    "POST": (arrive(method="POST"), 405),
    "another host (DNS rebinding)": (arrive(host=f"evil.example:{PORT}"), 421),
    "another port in Host": (arrive(host="localhost:1"), 421),
    "a doubled Host": (arrive(host=f"localhost:{PORT}, localhost:{PORT}"), 421),
    "no Host": (CallbackRequest("GET", arrive().target, {}), 421),
    "a fetch": (arrive(sec_fetch_mode="cors"), 403),
    "an image": (arrive(sec_fetch_dest="image", sec_fetch_mode="no-cors"), 403),
    "a frame": (arrive(sec_fetch_dest="iframe"), 403),
    "a prefetch": (arrive(sec_purpose="prefetch"), 403),
    "an old prefetch": (arrive(purpose="prefetch"), 403),
    "a favicon": (arrive("", path="/favicon.ico"), 404),
    "a longer path": (arrive(path="/callback/acme.stackenterprise.co/"), 404),
    "another site's path": (arrive(path="/callback/other.stackenterprise.co"), 404),
    "an encoded path": (arrive(path="/callback/acme%2Estackenterprise.co"), 404),
    "no query": (arrive(""), 400),
    "no state": (arrive({"code": "c"}), 400),
    "an empty state": (arrive({**GOOD, "state": ""}), 400),
    "a shorter state": (arrive({**GOOD, "state": "state-of-this-logi"}), 400),
    "a longer state": (arrive({**GOOD, "state": "state-of-this-loginn"}), 400),
    "a state in capitals": (arrive({**GOOD, "state": GOOD["state"].upper()}), 400),
    "no code": (arrive({"state": GOOD["state"]}), 400),
    "an empty code": (arrive({**GOOD, "code": ""}), 400),
    "code and error": (arrive({**GOOD, "error": "access_denied"}), 400),
    "an empty code and an error": (arrive({**GOOD, "code": "", "error": "x"}), 400),
    "an empty error": (arrive({"state": GOOD["state"], "error": ""}), 400),
    "two states": (arrive([*GOOD.items(), ("state", GOOD["state"])]), 400),
    "two codes": (arrive([*GOOD.items(), ("code", "x")]), 400),
    "a state that is no UTF-8": (arrive("state=%ff%fe&code=x"), 400),
    "a code that is no UTF-8": (arrive(f"state={GOOD['state']}&code=%FF"), 400),
    "two issuers": (arrive([*GOOD.items(), ("iss", str(ACME)), ("iss", str(ACME))]), 400),
    "another issuer": (arrive({**GOOD, "iss": "https://evil.example"}), 400),
    "an error without state": (arrive({"error": "access_denied"}), 400),
}


@pytest.mark.rfc(
    "8252-8.10",
    "6749-3.1",
    "6749-10.14",
    "9700-2.1",
    "9700-4.1.3",
    "9700-4.4.2.2",
    "DNS rebinding",
    "a web page that sends requests",
)
@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_is(name: str) -> None:
    arrival, status = STRAYS[name]
    verdict = check_callback(arrival, REQUEST)
    assert isinstance(verdict, Stray)
    assert verdict.status == status


def test_an_invalid_callback_with_the_state_is_reported() -> None:
    for name, (arrival, _) in STRAYS.items():
        verdict = check_callback(arrival, REQUEST)
        assert isinstance(verdict, Stray)
        query = arrival.target.reveal().partition("?")[2]
        matches = f"state={GOOD['state']}" in query.split("&")
        assert not matches or verdict.notable, name


def test_a_callback_with_the_state_is_accepted_from_any_user() -> None:
    brought = replace(arrive(), other_user=1234)
    assert check_callback(brought, REQUEST) == Granted(Secret("c(o)d*e"), other_user=1234)


@pytest.mark.parametrize(
    "more",
    [
        *("user=J%FCrgen", "user=Jürgen", "user=J\udcfcrgen", "x=1&x=2", "%FF=1", "x=%", "&&=&"),
        *("&".join(f"a{n}=1" for n in range(50)), "x=" + "y" * 50_000),
    ],
    ids=str.__len__,
)
def test_what_else_the_query_holds_is_the_sites_business(more: str) -> None:
    query = f"{more}&{urlencode(GOOD)}&{more}"
    assert check_callback(arrive(query), REQUEST) == Granted(Secret("c(o)d*e"))


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("refus%E9", "refus\N{REPLACEMENT CHARACTER}"),
        ("%EE%F2%EA%E0%E7", "\N{REPLACEMENT CHARACTER}" * 5),
        ("refus%C3%A9", "refusé"),
        ("refusé", "refusé"),
        ("no&error_description=yes", "no"),
    ],
)
def test_a_refusal_in_any_encoding_is_a_refusal(description: str, shown: str) -> None:
    query = f"error=access_denied&error_description={description}&state={GOOD['state']}"
    assert check_callback(arrive(query), REQUEST) == Denied("access_denied", shown)


@pytest.mark.rfc("9207-2.4", "9207-3")
def test_the_right_issuer_is_accepted() -> None:
    assert isinstance(check_callback(arrive({**GOOD, "iss": str(ACME)}), REQUEST), Granted)


@pytest.mark.rfc("6749-4.1.2.1", "9207-2.4")
def test_an_error_without_the_state_is_reported_and_ends_nothing() -> None:
    known = check_callback(arrive({"error": "access_denied"}), REQUEST)
    unknown = check_callback(arrive({"error": "see evil.example", "state": "x"}), REQUEST)
    assert isinstance(known, Stray)
    assert isinstance(unknown, Stray)
    assert known.notable
    assert unknown.notable
    assert "access_denied" in known.reason
    assert "evil" not in unknown.reason


@pytest.mark.rfc("8252-8.9", "6749-10.12", "9700-2.1", "9700-4.7.1")
@given(
    st.dictionaries(st.sampled_from(["code", "error", "state", "iss", "x"]), st.text()),
    st.sampled_from(["GET", "POST"]),
)
def test_without_the_matching_state_nothing_is_ever_granted_or_denied(
    query: dict[str, str], method: str
) -> None:
    if query.get("state") != GOOD["state"]:
        encoded = urlencode(query, errors="surrogatepass")
        assert isinstance(check_callback(arrive(encoded, method=method), REQUEST), Stray)


@given(st.text(), st.text())
def test_any_target_gets_a_verdict_that_quotes_nothing_of_it(path: str, query: str) -> None:
    verdict = check_callback(arrive(query + "canary", path="/" + path), REQUEST)
    assert isinstance(verdict, Stray)
    assert "canary" not in verdict.reason


# --- paste ---


@pytest.mark.parametrize(
    "text",
    [
        f"{REDIRECT}?{urlencode(GOOD)}",
        f"  '{REDIRECT}?{urlencode(GOOD)}'  \n",
        f"{REDIRECT}?{urlencode(GOOD)}#top",
        urlencode(GOOD),
        "?" + urlencode(GOOD),
        f"<{REDIRECT}?{urlencode(GOOD)}>",
        f"\u201c{REDIRECT}?{urlencode(GOOD)}\u201d",
        f"\x1b[200~{REDIRECT}?{urlencode(GOOD)}\x1b[201~",
        f"{REDIRECT}?{urlencode(GOOD)}".replace("&", "&amp;"),
        f"\u200b\ufeff{REDIRECT}?\u200b{urlencode(GOOD)}\u2060",
        f"\N{NO-BREAK SPACE}{REDIRECT}?{urlencode(GOOD)}",
        f"{REDIRECT}?{urlencode(GOOD)}".removeprefix("http://"),
        f"{urlencode(GOOD)}&iss={ACME}",
    ],
)
def test_the_redirected_address_or_its_query_may_be_pasted(text: str) -> None:
    assert check_pasted_url(text, REQUEST) == Granted(Secret("c(o)d*e"))


@pytest.mark.rfc("8252-8.10", "9700-4.1.3")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("c(o)d*e", "code alone"),
        (quote("c(o)d*e"), "code alone"),
        (REQUEST.url, "does not begin with"),
        (f"http://evil.example/?{urlencode(GOOD)}", "does not begin with"),
        (f"{REDIRECT}/x?{urlencode(GOOD)}", "does not begin with"),
        ("code=x", "state"),
        ("code=x&state=y", "state"),
    ],
)
def test_a_paste_that_cannot_be_checked_is_refused_with_the_reason(text: str, why: str) -> None:
    verdict = check_pasted_url(text, REQUEST)
    assert isinstance(verdict, Stray)
    assert why in verdict.reason


def test_the_sites_own_page_can_be_the_redirect_for_a_paste() -> None:
    request = new_authorization_request(ACME, "112", Scope(), login_success_uri(ACME), bytes)
    pasted = f"{login_success_uri(ACME)}?code=x&state={request.state.reveal()}"
    assert check_pasted_url(pasted, request) == Granted(Secret("x"))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("c(o)d*e", None),
        (f"{REDIRECT}?{urlencode(GOOD)}", None),
        (f"{REDIRECT}?{urlencode(GOOD)}#x", REQUEST.state),
        (f"{REDIRECT}?{urlencode({**GOOD, 'iss': str(ACME)})}", REQUEST.state),
        (urlencode(GOOD), REQUEST.state),
        (f"<{REDIRECT}?{urlencode(GOOD)}&x=%FF&y=1&y=2>", REQUEST.state),
    ],
)
def test_a_code_may_be_given_by_hand_bare_or_in_its_address(
    text: str, state: Secret | None
) -> None:
    verdict = parse_pasted_callback(Secret(text), site=ACME, redirect_uri=REDIRECT, state=state)
    assert verdict == Granted(Secret("c(o)d*e"))


@pytest.mark.rfc("6749-3.1")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (urlencode({**GOOD, "state": "x"}), "not this login's"),
        ("code=&state=state-of-this-login", "neither one code"),
        ("c(o)d*e", "a code alone"),
        (f"{urlencode(GOOD)}&code=x", "appears twice"),
        (urlencode({**GOOD, "iss": "https://evil.example"}), "another issuer"),
        (f"https://evil.example/?{urlencode(GOOD)}", "does not begin with"),
    ],
)
def test_an_address_that_is_not_the_right_one_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_pasted_callback(Secret(text), site=ACME, redirect_uri=REDIRECT, state=REQUEST.state)


# --- the answer ---


@pytest.mark.rfc("6749-5.1")
def test_the_vendors_answer_is_read() -> None:
    token = read(200, {"access_token": "a(b)*", "expires": 86400})
    assert token.access_token.reveal() == "a(b)*"
    assert token.expires_at == 87400.0
    assert (token.site, token.client_id, token.scope) == (ACME, "110", Scope())


@pytest.mark.parametrize(
    ("life", "expires_at"),
    [
        ({"expires": 60}, 1060.0),
        ({"expires": "60"}, 1060.0),
        ({"expires": 60.5}, 1060.5),
        ({"expires_in": 60}, 1060.0),
        ({"expires": 0}, "unknown"),
        ({"expires": -1}, "unknown"),
        ({"expires": "soon"}, "unknown"),
        ({"expires": True}, "unknown"),
        ({"expires": [60]}, "unknown"),
        ({"expires": 1e300}, "unknown"),
        ({"expires": 10**400}, "unknown"),
        ({"expires": float("nan")}, "unknown"),
        ({"expires": None}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_life_is_read_or_unknown_and_never_endless(
    life: dict[str, object], expires_at: object
) -> None:
    assert read(200, {"access_token": "a", **life}).expires_at == expires_at


def test_a_token_has_no_end_where_none_was_asked_for_and_none_came() -> None:
    assert read(200, {"access_token": "a"}, scope="no_expiry").expires_at == "never"
    assert read(200, {"access_token": "a", "expires": 5}, scope="no_expiry").expires_at == 1005.0


@pytest.mark.rfc("6749-3.3")
@pytest.mark.parametrize(
    ("granted", "names"),
    [
        ("no_expiry write_access", ("no_expiry", "write_access")),
        ("no_expiry,write_access", ("no_expiry", "write_access")),
        ("", ()),
        ('"', ("write_access",)),  # not a scope
        (7, ("write_access",)),
    ],
)
def test_a_granted_scope_is_read_in_both_dialects(granted: object, names: tuple[str, ...]) -> None:
    token = read(200, {"access_token": "a", "scope": granted}, scope="write_access")
    assert token.granted_scope.names == names
    assert token.scope.names == ("write_access",)


def test_a_byte_order_mark_is_read_over() -> None:
    assert read(200, b'\xef\xbb\xbf{"access_token": "a"}').access_token.reveal() == "a"


@pytest.mark.rfc("6749-5.2")
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error_message": "code is expired."}, "code is expired."),
        (400, {"error": {"type": "invalid_grant", "message": "bad code"}}, "bad code."),
        (400, {"error": {"type": "invalid_grant"}}, "invalid_grant."),
        (400, {"error": "invalid_grant", "error_description": "used"}, "used."),
        (400, {"error": "invalid_grant"}, "invalid_grant."),
        (400, {"error": None}, "no reason given."),
        (200, {"error_message": "no", "access_token": "a"}, "no."),
        (500, {"error_message": "oops"}, "oops."),
    ],
)
def test_every_shape_of_refusal_is_understood(status: int, body: object, words: str) -> None:
    with pytest.raises(ExchangeRefused) as refused:
        read(status, body)
    assert refused.value.status == status
    assert str(refused.value).endswith(f"(HTTP {status}): {words}")


@pytest.mark.rfc("6749-4.1.4")
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"", "an empty body"),
        (200, b"<!doctype html><title>Sign in</title>", "a web page"),
        (503, b"\n<html>", "a web page"),
        (200, b'{"access_token": "cana', "no JSON"),
        (200, b"\xff\xfe\x00", "no JSON"),
        (200, b"[" * 60000, "no JSON"),
        (200, [{"access_token": "canary"}], "not an object"),
        (200, {}, "without a token"),
        (200, {"access_token": ""}, "without a token"),
        (200, {"access_token": "canary\n"}, "without a token"),
        (200, {"access_token": "canary\u202e"}, "without a token"),
        (200, {"access_token": ["canary"]}, "without a token"),
        (200, {"access_token": "canary" * 11_000}, "a token has 16384 characters at most"),
        (302, {"access_token": "canary"}, "without a reason"),
        (500, {}, "without a reason"),
    ],
)
def test_whatever_else_comes_is_malformed_and_not_quoted(
    status: int, body: object, words: str
) -> None:
    with pytest.raises(MalformedResponse, match=words) as malformed:
        read(status, body)
    assert f"HTTP {status}" in str(malformed.value)
    assert "cana" not in str(malformed.value)


def test_a_refusals_words_are_made_fit_to_show() -> None:
    with pytest.raises(ExchangeRefused) as refused:
        read(400, {"error_message": "\x1b[31m\u202eboo\r\n" * 99})
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


def test_the_text_of_a_refusal_is_shown_without_values_of_the_request() -> None:
    verifier = REQUEST.code_verifier.reveal()
    with pytest.raises(ExchangeRefused, match=r"c=…&v=… is no … for …\."):
        read(400, {"error_message": f"c=c%28o%29d%2Ae&v={verifier} is no c(o)d*e for {verifier}"})


def test_an_arrival_and_an_answer_show_themselves_without_what_they_hold() -> None:
    assert "canary" not in repr(arrive(code="canary", cookie="canary"))
    assert "canary" not in repr(SiteResponse(200, [], b"canary"))


@given(st.integers(100, 599), st.binary(max_size=300))
def test_any_answer_is_a_token_or_one_of_the_two_errors(status: int, body: bytes) -> None:
    with pytest.raises((ExchangeRefused, MalformedResponse)):
        read(status, body)
