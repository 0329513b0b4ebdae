import pytest
from hypothesis import given
from hypothesis import strategies as st

from soe_auth import Site


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
        ("https://127.0.0.1:443", "https://127.0.0.1"),
        ("[::1]", "https://[::1]"),
        ("[::]", "https://[::]"),
        ("https://[0:0::1]", "https://[::1]"),
        ("acme\n", "https://acme.stackenterprise.co"),
        ("https://acme.example:0443", "https://acme.example"),
        ("https://xn--80ak6aa92e.example", "https://xn--80ak6aa92e.example"),
        ("ac\u00f6me", "https://xn--acme-6qa.stackenterprise.co"),
    ],
)
def test_a_site_is_parsed_from_short_and_full_forms(typed: str, url: str) -> None:
    assert str(Site.parse(typed)) == url


def test_path_and_query_are_cut_off_and_reported() -> None:
    site = Site.parse("https://acme.stackenterprise.co/c/team/questions?tab=new")
    assert str(site) == "https://acme.stackenterprise.co"
    assert site.ignored_suffix == "c/team/questions?tab=new"
    assert site == Site.parse("acme")


@pytest.mark.rfc("6749-3.2", "9700-2.6")
@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("http://acme.stackenterprise.co", "loopback"),
        ("http://localhost.evil.example", "loopback"),
        ("https://stackoverflowteams.com/c/acme", "personal access tokens"),
        ("stackoverflowteams.com/c/acme/questions", "personal access tokens"),
        ("mcp.stackinternal.com", "another service"),
        ("https://acme.stackinternal.com", "another service"),
        ("ftp://acme.example", "https"),
        ("https://user:word@acme.example", "user name"),
        ("https://user@acme.example", "user name"),
        ("acme@evil.example", "user name"),
        ("https://acme.stackenterprise.co\\\\@evil.example", "backslashes"),
        ("https://acme.stackenterprise.co\\\\.evil.example", "backslashes"),
        ("acme\t.evil", "invisible"),
        ("ac\nme", "invisible"),
        ("acme\x00", "invisible"),
        ("acme\x1b[2J", "invisible"),
        ("acme\u200b.evil", "invisible"),
        ("acme\u00ad.evil", "invisible"),
        ("acme\u202e.evil", "invisible"),
        ("acme\u3000.evil", "invisible"),
        ("https://acme.example/a b", "no spaces"),
        ("https://acme.example/\x1b[2J", "invisible"),
        ("https://acme%2eevil.example", "not a host name"),
        ("https://acme.example:99999", "from 1 to 65535"),
        ("https://acme.example:65536", "from 1 to 65535"),
        ("https://acme.example:0", "from 1 to 65535"),
        ("https://acme.example:", "from 1 to 65535"),
        ("https://acme.example:+80", "from 1 to 65535"),
        ("https://acme.example:\u0661", "from 1 to 65535"),
        ("https:acme", "from 1 to 65535"),
        ("http:/acme", "from 1 to 65535"),
        ("//acme", "not a host name"),
        ("file:///etc/passwd", "https URL"),
        ("javascript://acme.example/%0aalert(1)", "https URL"),
        ("https://acme.example\uff0fevil", "not a host name"),
        ("https://0x7f.1", "IPv4"),
        ("https://127.0.0.0x1", "IPv4"),
        ("https://127.0.0.0x", "IPv4"),
        ("https://0177.0.0.1", "IPv4"),
        ("https://2130706433", "IPv4"),
        ("https://acme.example.80", "IPv4"),
        ("https://[fe80::1%25eth0]", "not a host name"),
        ("https://[fe80::1%eth0]", "not a host name"),
        ("https://[v1.acme]", "IPv6"),
        ("https://[acme.example]", "."),
        ("https://evil.example[::1]", "not a host name"),
        ("https://[::1", "not a host name"),
        ("::1", "not a host name"),
        ("::1:80", "not a host name"),
        ("https://", "not a host name"),
        ("", "not a host name"),
        ("https://ac me.example", "no spaces"),
        ("https://-acme.example", "not a host name"),
        ("https://acme..example", "not a host name"),
        ("https://1.2.3", "."),
        ("https://[::zz]", "."),
        (f"https://{'a' * 64}.example", "not a host name"),
        ("https://" + "\u0301" * 70 + ".example", "not a host name"),
    ],
)
def test_an_invalid_site_is_refused_with_the_reason(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        Site.parse(typed)
    assert str(error.value).isascii()
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("typed", "authority", "in_cloud"),
    [
        ("acme", "acme.stackenterprise.co", True),
        ("acme.stackenterprise.co", "acme.stackenterprise.co", True),
        ("ACME.StackEnterprise.CO.", "acme.stackenterprise.co", True),
        ("https://acme.stackenterprise.co:443/", "acme.stackenterprise.co", True),
        ("https://a.b.stackenterprise.co", "a.b.stackenterprise.co", True),
        # Other letters and dots are shown as DNS and the browser convert them:
        ("\uff41cme", "acme.stackenterprise.co", True),
        ("acme\u3002stackenterprise\u3002co", "acme.stackenterprise.co", True),
        ("https://acme.stackenterprise.co:8443", "acme.stackenterprise.co:8443", False),
        ("https://stackenterprise.co", "stackenterprise.co", False),
        ("https://evilstackenterprise.co", "evilstackenterprise.co", False),
        ("https://evil-stackenterprise.co", "evil-stackenterprise.co", False),
        ("https://acme.stackenterprise.com", "acme.stackenterprise.com", False),
        (
            "https://acme.stackenterprise.co.evil.example",
            "acme.stackenterprise.co.evil.example",
            False,
        ),
        ("https://evil.example/.stackenterprise.co", "evil.example", False),
        ("https://evil.example?.stackenterprise.co", "evil.example", False),
        ("https://evil.example#.stackenterprise.co", "evil.example", False),
        (
            "https://acme.st\u0430ckenterprise.co",
            "acme.xn--stckenterprise-wtl.co",
            False,
        ),
        ("acme.stackenterpr\u0456se.co", "acme.xn--stackenterprse-hbm.co", False),
        ("\u0430cme", "xn--cme-5cd.stackenterprise.co", True),
        ("http://localhost:8300", "localhost:8300", False),
        ("https://localhost", "localhost", False),
        ("https://127.0.0.1", "127.0.0.1", False),
        ("https://acme", "acme", False),
    ],
)
def test_a_cloud_site_is_https_below_stackenterprise_co(
    typed: str, authority: str, *, in_cloud: bool
) -> None:
    site = Site.parse(typed)
    assert (site.authority, site.in_cloud) == (authority, in_cloud)
    assert site.default_profile_name in authority or not site.in_cloud


@pytest.mark.parametrize(
    ("typed", "imitates"),
    [
        ("acme.stackenterprise.com", True),
        ("acme.stackenterprise.io", True),
        ("acme.stackenterprise.so", True),
        ("acme.stackenterprise.co.uk", True),
        ("acme.stackenterprise.com.au", True),
        ("acme.stackenterprise.co.evil.example", True),
        ("stackenterprize.co", True),
        ("acme.stackentreprise.co", True),
        ("acme-stackenterprise.co", True),
        ("acme.st\u0430ckenterprise.co", True),
        ("acme.stackenterpr\u0456se.co", True),
        ("acme", False),
        ("stackenterprise.co", False),
        ("https://acme.stackenterprise.co:8443", False),
        ("stackenterprise.acme.example", False),
        ("stackoverflow.acme.com", False),
        ("acme-enterprise.com", False),
        ("localhost:8300", False),
        ("[::1]", False),
    ],
)
def test_a_domain_that_looks_like_the_vendors_is_recognised(typed: str, *, imitates: bool) -> None:
    assert Site.parse(typed).imitates_vendor is imitates


@given(st.text())
def test_any_text_is_a_value_error_or_a_site_that_parses_back_to_itself(text: str) -> None:
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
def test_the_shown_form_of_a_site_parses_to_the_same_site(url: str, typed: str) -> None:
    assert Site.parse(url).as_typed == typed
    assert Site.parse(typed) == Site.parse(url)


def test_the_default_profile_name_is_made_from_the_site() -> None:
    assert Site.parse("acme").default_profile_name == "acme"
    assert Site.parse("http://localhost:8300").default_profile_name == "localhost-8300"
    assert Site.parse("http://[::1]:8300").default_profile_name == "1-8300"
