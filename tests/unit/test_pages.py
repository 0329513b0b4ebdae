import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from soe_auth import sandbox
from soe_auth.loopback import pages
from soe_auth.loopback.pages import HEADERS, Page, not_signed_in, signed_in, stray
from soe_auth.oauth.callback_check import LAUNCH_REFUSED, TOO_LARGE, Stray

PAGES = [
    signed_in("acme.stackenterprise.co", "Jane Doe", "until Tue 09:12 (24 h)"),
    signed_in("acme.stackenterprise.co", None, "until it is revoked"),
    not_signed_in("You chose Cancel on the site.", "Start again."),
    *map(stray, (Stray("it has no code", 404), LAUNCH_REFUSED, TOO_LARGE)),
]


def test_the_page_names_account_site_and_expiry() -> None:
    html = PAGES[0].html
    assert "Signed in as Jane Doe" in html
    assert "acme.stackenterprise.co" in html
    assert "until Tue 09:12 (24 h)" in html
    assert "close this window" in html


def test_the_page_shows_what_a_project_file_requested() -> None:
    page = signed_in("acme", None, "until it is revoked", "/x/.soe-auth.toml asks for the scope a.")
    assert "revoked. /x/.soe-auth.toml asks for the scope a.</p>" in page.html


@pytest.mark.rfc("6749-3.1.2.5", "9700-4.2.4")
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


def test_text_in_backticks_is_set_as_code() -> None:
    page = not_signed_in("It was `refused`", "Type `soe-auth login`.")
    assert "<code>soe-auth login</code>." in page.html


@pytest.mark.rfc("6749-10.14")
def test_values_are_escaped_and_made_printable() -> None:
    page = signed_in("<b>", "<script>\"'&", "\u202e\x1b")
    assert "<b>" not in page.html
    assert "<script>" not in page.html
    assert "\u202e" not in page.html
    assert "&lt;script&gt;&quot;&#x27;&amp;" in page.html


# --- accessibility ---

STYLES = {
    "ours": Path(pages.__file__).with_name("page.css"),
    "sandbox": Path(sandbox.__file__).parent / "templates" / "style.css",
}
# Each pair is a text colour and its background.
TEXT_ON = {
    "ours": [
        *(("ink", "card"), ("soft", "card"), ("soft", "ground")),
        *(("ok", "card"), ("error", "card"), ("warning", "card")),
    ],
    "sandbox": [
        *(("ink", "card"), ("quiet", "card"), ("ink", "ground"), ("quiet", "ground")),
        *(("main", "card"), ("main-ink", "main"), ("main-ink", "main-hover"), ("ink", "tint")),
        *(("main", "tint"), ("ribbon-ink", "ribbon"), ("ribbon-ink", "ribbon-2")),
    ],
}


def schemes(style: str) -> list[dict[str, str]]:
    """The colours of the light scheme and of the dark one."""
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("style", STYLES)
def test_every_text_has_enough_contrast_in_both_schemes(style: str) -> None:
    both = schemes(STYLES[style].read_text())
    assert len(both) == 2
    for colours in both:
        for text, ground in TEXT_ON[style]:
            dark, light = sorted((luminance(colours[text]), luminance(colours[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)  # WCAG 2.2, 1.4.3


def test_our_pages_and_the_sandbox_share_their_colours() -> None:
    ours, sandbox_style = (schemes(style.read_text()) for style in STYLES.values())
    for own, other in zip(ours, sandbox_style, strict=True):
        for name, same in (("ground",) * 2, ("card",) * 2, ("ink",) * 2, ("soft", "quiet")):
            assert own[name] == other[same]
        assert own["line"] == other["line"]
        assert own["ok"] == other["main"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_with_a_screen_reader(page: Page) -> None:
    assert '<html lang="en">' in page.html
    assert re.search("<title>[^<]+ \N{EN DASH} soe-auth</title>", page.html)
    assert page.html.count("<h1>") == 1
    assert page.html.count("<main>") == 1
    assert 'content="width=device-width, initial-scale=1"' in page.html
    assert re.search(r'<p class="sign" aria-hidden="true">[✓!?]</p>', page.html)
