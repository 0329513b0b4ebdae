import json
import math
import sys
import time
from dataclasses import replace

import pytest
from conftest import TOKEN
from hypothesis import given
from hypothesis import strategies as st

from soe_auth import Scope, Site
from soe_auth.cli.json_output import token_report
from soe_auth.model.token import Expiry, visible_ascii
from soe_auth.storage.file_store import token_from_json, token_to_json


@pytest.mark.parametrize("expires_at", [87400.0, "never", "unknown"])
@pytest.mark.parametrize("account", ["Jane Doe", None])
def test_the_file_form_reads_back_as_the_same_token(
    expires_at: float | str, account: str | None
) -> None:
    token = replace(TOKEN, expires_at=expires_at, account=account)  # type: ignore[arg-type]  # parametrized
    assert token_from_json(token_to_json(token)) == token


def test_the_file_form_carries_a_version() -> None:
    assert json.loads(token_to_json(TOKEN))["version"] == 1


def test_a_newer_file_form_is_refused() -> None:
    fields = json.loads(token_to_json(TOKEN))
    with pytest.raises(ValueError, match="version"):
        token_from_json(json.dumps({**fields, "version": 2}).encode())


@pytest.mark.parametrize("field", list(json.loads(token_to_json(TOKEN))))
@pytest.mark.parametrize("value", [None, True, [], {}, "", 'x"y', float("nan"), 1e12, -(10**400)])
def test_a_wrong_value_is_refused_or_read_as_what_it_is(field: str, value: object) -> None:
    fields = {**json.loads(token_to_json(TOKEN)), field: value}
    problem = None
    try:
        token = token_from_json(json.dumps(fields).encode())
    except ValueError as caught:
        problem = caught
    else:
        assert token_from_json(token_to_json(token)) == token
    assert problem is None or ("canary" not in str(problem) and problem.__cause__ is None)


@pytest.mark.parametrize("field", list(json.loads(token_to_json(TOKEN))))
def test_a_missing_field_is_refused(field: str) -> None:
    fields = json.loads(token_to_json(TOKEN))
    del fields[field]
    with pytest.raises(ValueError, match="token file"):
        token_from_json(json.dumps(fields).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_token_or_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is not"):
        token_from_json(data)


def test_a_deeply_nested_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"token file|not JSON"):  # the latter by 3.14
        token_from_json(b"[" * 60000)


@pytest.mark.parametrize("value", ["", " ", "a b", "tök", "a\n", "a\x00", None, 7, b"x"])
def test_only_visible_ascii_can_be_a_token(value: object) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        visible_ascii(value)


def test_a_token_fits_into_its_file() -> None:
    assert visible_ascii("x" * 16384)
    with pytest.raises(ValueError, match="16384 characters at most"):
        visible_ascii("x" * 16385)


def test_a_token_serves_its_own_settings_while_it_lives() -> None:
    own = TOKEN.site, TOKEN.client_id, TOKEN.scope
    assert TOKEN.why_unusable(*own, min_ttl=60, now=1000) is None
    assert TOKEN.why_unusable(*own, min_ttl=60, now=87350) == (
        "has 50 s left, less than min_ttl (60 s)"
    )
    assert TOKEN.why_unusable(*own, min_ttl=0, now=87400 + 3600) == "expired 1 h ago"


@pytest.mark.parametrize(
    ("site", "client_id", "scope"),
    [
        (Site.parse("other"), "110", TOKEN.scope),
        (TOKEN.site, "111", TOKEN.scope),
        (TOKEN.site, "110", Scope()),
        (None, None, TOKEN.scope),
    ],
)
def test_a_token_serves_no_other_site_client_or_scope(
    site: Site | None, client_id: str | None, scope: Scope
) -> None:
    assert "another" in (TOKEN.why_unusable(site, client_id, scope, min_ttl=0, now=1000) or "")


def test_a_token_without_end_always_lives() -> None:
    assert replace(TOKEN, expires_at="never").remaining(1e12) == math.inf


def test_an_unknown_life_is_trusted_for_the_usual_day_and_no_longer() -> None:
    token = replace(TOKEN, expires_at="unknown")
    assert token.remaining(now=1000) == 86400
    assert token.remaining(now=1000 + 86401) < 0


@pytest.mark.parametrize("expires_at", [87400.0, "unknown"])
def test_a_token_of_a_clock_that_was_ahead_lasts_as_long_as_it_was_given_at_most(
    expires_at: Expiry,
) -> None:
    token = replace(TOKEN, obtained_at=1000.0, expires_at=expires_at)
    assert token.remaining(now=-86400) == 86400
    assert token.remaining(now=1000) == 86400
    assert token.remaining(now=1001) == 86399
    report = token_report("acme", token, now=-85400.0)
    assert report["seconds_left"] == 86400
    if expires_at != "unknown":
        assert report["expires_at"] == "1970-01-01T00:16:40Z"
        assert token.describe_expiry(now=-85400.0).endswith(" (24 h)")


def test_the_expiry_of_a_token_is_shown_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "win32":  # which cannot change the time zone of a running process
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert TOKEN.describe_expiry(now=1000) == "until Fri 00:16 (24 h)"
    month = 1000 + 30 * 86400.0
    day, date = (
        time.strftime(form, time.localtime(at))
        for form, at in (("%a %H:%M", 87400), ("%d %b %Y", month))
    )
    assert TOKEN.describe_expiry(now=1000) == f"until {day} (24 h)"
    assert replace(TOKEN, expires_at=month).describe_expiry(1000) == f"until {date} (30 d)"
    assert replace(TOKEN, expires_at="never").describe_expiry(0) == "until it is revoked"
    assert "unknown" in replace(TOKEN, expires_at="unknown").describe_expiry(0)


LIFE = 86400.0


@pytest.mark.parametrize(
    ("life", "left", "warned"),
    [
        (LIFE, 3601, []),
        (LIFE, 3599, ["It expires in 1 h."]),
        (LIFE, 30, ["It expires in 30 s."]),
        (LIFE, 0, []),
        (LIFE, -1, []),
        (1200, 301, []),
        (1200, 299, ["It expires in 5 min."]),
    ],
)
def test_a_token_near_its_end_is_warned_of_in_time_for_its_life(
    life: float, left: float, warned: list[str]
) -> None:
    token = replace(TOKEN, obtained_at=0.0, expires_at=life)
    assert token.warnings(life - left) == warned


def test_a_life_without_end_or_unknown_is_warned_of_as_what_it_is() -> None:
    endless = replace(TOKEN, expires_at="never")
    assert endless.warnings(1000 + 3 * LIFE) == ["It never expires; it was issued 3 d ago."]
    unknown = replace(TOKEN, expires_at="unknown")
    assert unknown.warnings(1000 + 3600) == ["The site gave no expiry; 23 h are assumed."]
    assert unknown.warnings(1000 + LIFE) == []


def test_another_scope_than_was_asked_for_is_warned_of() -> None:
    less = replace(TOKEN, granted_scope=Scope())
    assert less.warnings(1000) == [
        "The site granted the scope read only; write_access was requested."
    ]


def test_only_an_end_that_is_known_can_be_past() -> None:
    assert TOKEN.has_ended(87400)
    assert not TOKEN.has_ended(87399)
    for expires_at in ("never", "unknown"):
        assert not replace(TOKEN, expires_at=expires_at).has_ended(1e12)


def test_more_than_the_site_ever_gives_does_not_call_for_a_login_each_time() -> None:
    assert TOKEN.effective_min_ttl(LIFE - 1) == LIFE - 1
    assert TOKEN.lifetime_warning(LIFE - 1) is None
    for too_much in (LIFE, LIFE + 3600):  # of a day asked for, a second is always gone
        assert TOKEN.effective_min_ttl(too_much) == LIFE / 2
    assert TOKEN.lifetime_warning(LIFE + 3600) == (
        "Tokens from this site expire after 24 h, but min_ttl is 25 h: use `--min-ttl 16h`."
    )
    assert replace(TOKEN, expires_at="never").effective_min_ttl(366 * LIFE) == 366 * LIFE
