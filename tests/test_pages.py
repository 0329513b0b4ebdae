import re
from base64 import b64encode
from hashlib import sha256

import pytest

from soe_auth.pages import HEADERS, Page, not_signed_in, signed_in, stray

PAGES = [
    signed_in("acme.stackenterprise.co", "Jane Doe", "until Tue 09:12 (24 h)"),
    signed_in("acme.stackenterprise.co", None, "until it is revoked"),
    not_signed_in("The site sent the login back.", "Start again."),
    stray(404),
]


def test_the_page_says_who_signed_in_where_and_for_how_long() -> None:
    html = PAGES[0].html
    assert "Signed in as Jane Doe" in html
    assert "acme.stackenterprise.co" in html
    assert "until Tue 09:12 (24 h)" in html
    assert "close this window" in html


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_nothing_from_outside_and_no_script(page: Page) -> None:
    assert "://" not in page.html
    assert "<script" not in page.html
    assert "<img" not in page.html
    assert "@import" not in page.html


@pytest.mark.parametrize("page", PAGES)
def test_the_policy_allows_exactly_the_style_of_the_page(page: Page) -> None:
    style = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert style
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    policy = HEADERS["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy


def test_what_to_type_is_set_as_code() -> None:
    page = not_signed_in("It was `refused`", "Type `soe-auth login`.")
    assert "<code>soe-auth login</code>." in page.html


def test_values_are_escaped_and_made_fit_to_show() -> None:
    page = signed_in("<b>", "<script>\"'&", "\u202e\x1b")
    assert "<b>" not in page.html
    assert "<script>" not in page.html
    assert "\u202e" not in page.html
    assert "&lt;script&gt;&quot;&#x27;&amp;" in page.html
