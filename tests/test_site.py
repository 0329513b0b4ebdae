import pytest
from hypothesis import given
from hypothesis import strategies as st

from soe_auth.site import Site


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("acme", "https://acme.stackenterprise.co"),
        (" ACME ", "https://acme.stackenterprise.co"),
        ("acme.stackenterprise.co", "https://acme.stackenterprise.co"),
        ("acme.stackenterprise.co.", "https://acme.stackenterprise.co"),
        ("https://acme.stackenterprise.co:443/", "https://acme.stackenterprise.co"),
        ("https://acme.stackenterprise.co:8443", "https://acme.stackenterprise.co:8443"),
        ("stack.acme.example", "https://stack.acme.example"),
        ("localhost:8300", "https://localhost:8300"),
        ("localhost", "https://localhost"),
        ("http://localhost:8300", "http://localhost:8300"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8300", "http://[::1]:8300"),
        ("https://müller.example", "https://xn--mller-kva.example"),
    ],
)
def test_a_site_may_be_typed_in_many_ways(typed: str, url: str) -> None:
    assert str(Site.parse(typed)) == url


def test_what_is_no_part_of_a_base_url_is_cut_off_and_kept_to_be_told() -> None:
    site = Site.parse("https://acme.stackenterprise.co/c/team/questions?tab=new")
    assert str(site) == "https://acme.stackenterprise.co"
    assert site.surplus == "c/team/questions?tab=new"
    assert site == Site.parse("acme")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("http://acme.stackenterprise.co", "loopback"),
        ("http://localhost.evil.example", "loopback"),
        ("ftp://acme.example", "https"),
        ("https://user:word@acme.example", "user name"),
        ("https://acme.example:99999", "[Pp]ort"),
        ("https://", "no host name"),
        ("", "no host name"),
        ("https://ac me.example", "no host name"),
        ("https://-acme.example", "no host name"),
        ("https://acme..example", "no host name"),
        ("https://1.2.3", "."),
        ("https://[::zz]", "."),
        (f"https://{'a' * 64}.example", "no host name"),
        ("https://" + "\u0301" * 70 + ".example", "no host name"),
    ],
)
def test_what_cannot_be_a_site_is_refused_with_the_reason(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Site.parse(typed)


@given(st.text())
def test_any_text_is_a_site_that_reads_back_the_same_or_a_value_error(text: str) -> None:
    try:
        site = Site.parse(text)
    except ValueError:
        return
    assert Site.parse(str(site)) == site
    assert str(site).isascii()


@pytest.mark.parametrize(
    ("url", "typed"),
    [
        ("https://acme.stackenterprise.co", "acme.stackenterprise.co"),
        ("https://localhost:8300", "localhost:8300"),
        ("http://localhost:8300", "http://localhost:8300"),
        ("https://intranet", "https://intranet"),
    ],
)
def test_a_site_is_shown_as_it_may_be_typed_again(url: str, typed: str) -> None:
    assert Site.parse(url).as_typed == typed
    assert Site.parse(typed) == Site.parse(url)


def test_a_profile_takes_its_name_from_the_site() -> None:
    assert Site.parse("acme").short_name == "acme"
    assert Site.parse("http://localhost:8300").short_name == "localhost-8300"
    assert Site.parse("http://[::1]:8300").short_name == "1-8300"
