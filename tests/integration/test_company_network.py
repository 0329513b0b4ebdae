"""A company's network: CAs of its own, a proxy with a password, and one that opens TLS."""

import ast
import asyncio
import shlex
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from conftest import TOKEN, Command
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tls_servers import (
    BROWSER_BEHIND_A_PROXY,
    DAY,
    NOW,
    PACKAGE,
    before_1_2,
    forwarding,
    needs_roots,
    served,
    shown_by_a_tool_that_prints_locals,
    tls,
    tls_signed_by_itself,
)

import soe_auth as package
from soe_auth import NetworkError, RevocationResult, Secret, SettingsError, Site
from soe_auth.actions.logout import logout
from soe_auth.doctor.certificate import find_issuer
from soe_auth.model.network import Network, Proxy
from soe_auth.sandbox import Sandbox, running
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.resolve import find_network, resolve
from soe_auth.settings.settings import Settings
from soe_auth.site_client.client import connect
from soe_auth.site_client.proxy_lookup import proxy_for
from soe_auth.site_client.tls import ssl_context
from soe_auth.storage.file_store import FileStore

CANARY = Secret("code=canary")
PASSWORD = "pass-canary:/word"  # as it is typed where nothing has to be escaped
IN_ADDRESS = "jane:pass-canary%3A%2Fword"


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def sites_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def companys_ca() -> trustme.CA:
    return trustme.CA(organization_name="Acme Inspection")


@pytest.fixture
async def acme(sites_ca: trustme.CA) -> AsyncIterator[Sandbox]:
    """A site of a name that only a proxy finds."""
    context = tls(sites_ca.issue_cert("acme.test"))
    async with Sandbox(strict=True, host="acme.test", ssl_context=context) as sandbox:
        yield sandbox


@dataclass(frozen=True)
class Bundles:
    """Makes files of certificates."""

    folder: Path

    def of(self, *cas: trustme.CA) -> Path:
        return self.holding(b"".join(ca.cert_pem.bytes() for ca in cas))

    def holding(self, data: bytes) -> Path:
        path = self.folder / f"bundle-{len(list(self.folder.iterdir()))}.pem"
        path.write_bytes(data)
        return path


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    (tmp_path / "bundles").mkdir()
    return Bundles(tmp_path / "bundles")


@contextmanager
def network_error(words: str, todo: str = "") -> Iterator[None]:
    with pytest.raises(NetworkError, match=words) as caught:
        yield
    assert todo in caught.value.hint
    assert (str(caught.value) + caught.value.hint).isprintable()
    assert "canary" not in shown_by_a_tool_that_prints_locals(caught.value)


async def answer_of(site: Sandbox, network: Network) -> int:
    async with connect(Site.parse(site.url), network=network) as connection:
        return (await connection.exchange(CANARY)).status


# --- the settings --------------------------------------------------------------------------------


def settings_of(home: Path, text: str = "", **variables: str) -> Settings:
    (home / "config.toml").write_text(f'site = "acme"\nclient_id = "110"\n{text}', encoding="utf-8")
    environ = {"SOE_AUTH_CONFIG_DIR": str(home), **variables}
    return resolve({}, profile="acme", environ=environ, cwd=lambda: home)


def test_without_settings_the_system_decides_proxy_and_cas(tmp_path: Path) -> None:
    assert settings_of(tmp_path).network == Network()


def test_files_and_variables_name_a_bundle_and_a_proxy(tmp_path: Path) -> None:
    bundle = tmp_path / "acme.pem"
    settings = settings_of(tmp_path, f"ca_bundle = '{bundle}'\nproxy = \"none\"\n")
    assert settings.network == Network(bundle, "none")
    settings = settings_of(
        tmp_path,
        'proxy = "none"\n[profile.acme]\nproxy = "proxy.acme.test:3128"\n',
        SOE_AUTH_CA_BUNDLE="~/acme.pem",
    )
    assert settings.network == Network(
        Path.home() / "acme.pem", Proxy("http", "proxy.acme.test", 3128)
    )


def test_a_logout_uses_the_proxy_although_another_value_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[profile.acme]\nproxy = "none"\nport = "x"\nprot = 0\n')
    environ = {"SOE_AUTH_CONFIG_DIR": str(tmp_path), "SOE_AUTH_CA_BUNDLE": "~/acme.pem"}
    configs = read_config_files(environ, tolerant=True)
    network = Network(Path.home() / "acme.pem", "none")
    assert find_network("acme", environ, configs) == network


NOT_WHOLE = ["acme.pem", "./acme.pem"]
if sys.platform != "win32":  # where ~NAME is another user's home
    NOT_WHOLE += ["~no-such-user/acme.pem"]


@pytest.mark.parametrize("written", NOT_WHOLE)
def test_a_bundle_path_must_be_absolute(written: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^Cannot read ca_bundle from .*the path is relative"):
        settings_of(tmp_path, f'ca_bundle = "{written}"\n')


def test_a_project_file_sets_neither(tmp_path: Path) -> None:
    for key in ("ca_bundle", "proxy"):
        (tmp_path / ".soe-auth.toml").write_text(f'{key} = "/tmp/x"\n')
        with pytest.raises(SettingsError, match=f"a project file may not set {key}"):
            settings_of(tmp_path)


@pytest.mark.parametrize(
    ("written", "address", "login"),
    [
        ("http://proxy.acme.test:3128", "http://proxy.acme.test:3128", None),
        ("HTTP://Proxy_1:3128/", "http://proxy_1:3128", None),
        ("proxy", "http://proxy:80", None),
        ("https://proxy", "https://proxy:443", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://@proxy", "http://proxy:80", None),
        ("http://jane@proxy", "http://proxy:80", "Basic amFuZTo="),
        ("http://jane:p@ss@proxy", "http://proxy:80", "Basic amFuZTpwQHNz"),
        ("http://jane:%C3%A4%20@proxy", "http://proxy:80", "Basic amFuZTrDpCA="),
    ],
)
def test_proxy_addresses_that_are_accepted(written: str, address: str, login: str | None) -> None:
    proxy = Proxy.parse(written)
    assert str(proxy) == address
    assert (proxy.authorization.reveal() if proxy.authorization else None) == login


@pytest.mark.parametrize(
    "written",
    [
        "",
        "http://",
        "socks5://jane:canary@proxy:1080",
        "socks5://jane:canary@proxy",
        "ftp://proxy",
        "http://jane:canary@proxy:x",
        "http://jane:canary@proxy:0",
        "http://jane:canary@proxy:99999",
        "http://jane:canary@[proxy",
        "http://jane:12/canary@proxy:3128",
        "http://jane:12#canary@proxy:3128",
        "http://jane:12?canary@proxy:3128",
        "http://jane:canary@pro xy",
        "http://jane:canary@pro\nxy",
        "http://jane:canary@pro\\xy",
        "http://jane:canary@pröxy",
        f"http://jane:canary@{'x' * 254}",
    ],
)
def test_an_invalid_proxy_is_refused_and_not_quoted(written: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^Cannot read proxy from ") as caught:
        settings_of(tmp_path, f"proxy = {ast.literal_eval(repr(written))!r}\n".replace("'", '"'))
    assert "canary" not in shown_by_a_tool_that_prints_locals(caught.value)


def test_a_proxys_password_is_in_no_text_of_the_settings(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, f'proxy = "http://{IN_ADDRESS}@proxy:3128"\n')
    assert "http://proxy:3128" in str(settings.network.proxy)
    shown = f"{settings} {settings.network} {settings.network.proxy!r} {settings.proxy}"
    assert "canary" not in shown
    assert "Basic" not in shown


# --- the CAs -------------------------------------------------------------------------------------


async def test_a_bundle_makes_a_private_ca_trusted(sites_ca: trustme.CA, bundles: Bundles) -> None:
    async with Sandbox(strict=True, ssl_context=tls(sites_ca.issue_cert("localhost"))) as site:
        assert await answer_of(site, Network(bundles.of(trustme.CA(), sites_ca))) == 400
        with network_error("it was issued by an authority that is not in ca_bundle", "doctor"):
            await answer_of(site, Network(bundles.of(trustme.CA())))
        assert len(site.exchanges) == 1


async def test_a_bundle_replaces_the_system_store(
    sites_ca: trustme.CA, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundles.of(sites_ca)))
    async with Sandbox(strict=True, ssl_context=tls(sites_ca.issue_cert("localhost"))) as site:
        assert await answer_of(site, Network()) == 400
        with network_error("an authority that is not in ca_bundle"):
            await answer_of(site, Network(bundles.of(trustme.CA())))


async def test_a_bundle_may_hold_an_intermediate_ca_only(
    sites_ca: trustme.CA, bundles: Bundles
) -> None:
    between = sites_ca.create_child_ca()
    async with Sandbox(strict=True, ssl_context=tls(between.issue_cert("localhost"))) as site:
        assert await answer_of(site, Network(bundles.of(between))) == 400


@pytest.mark.slow
async def test_a_bundle_does_not_change_other_checks(
    sites_ca: trustme.CA, bundles: Bundles
) -> None:
    network = Network(bundles.of(sites_ca))
    async with Sandbox(strict=True, ssl_context=tls(sites_ca.issue_cert("acme.test"))) as site:
        with network_error("it is for another name"):
            await answer_of(site, network)
    async with Sandbox(
        strict=True, ssl_context=before_1_2(tls(sites_ca.issue_cert("localhost")))
    ) as site:
        with network_error("the TLS handshake failed"):
            await answer_of(site, network)


def revocations_only() -> bytes:
    ca = trustme.CA()
    key = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
    day = datetime.now(UTC)
    crl = x509.CertificateRevocationListBuilder().issuer_name(issuer)
    crl = crl.last_update(day).next_update(day + timedelta(days=1))
    return crl.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]  # trustme's keys are of elliptic curves


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "No such file or directory"),
        (b"", "it has no valid certificate in PEM"),
        (b"hello\n", "it has no valid certificate in PEM"),
        (trustme.CA().cert_pem.bytes()[:-60], "it has no valid certificate in PEM"),
        (revocations_only(), "it has no valid certificate in PEM"),
    ],
    ids=["missing", "empty", "no-pem", "cut", "revocations"],
)
def test_an_invalid_bundle_is_reported_before_the_browser_opens(
    data: bytes | None,
    words: str,
    bundles: Bundles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = bundles.folder / "none.pem" if data is None else bundles.holding(data)
    monkeypatch.setenv("SOE_AUTH_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("SOE_AUTH_CA_BUNDLE", str(path))
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    with pytest.raises(SettingsError) as caught:
        package.login(site="acme", client_id="110", browser=browser)
    assert str(caught.value) == f"Cannot use ca_bundle {path}: {words}."
    assert caught.value.hint
    assert opened == []


@pytest.mark.parametrize(
    ("path", "words"), [("/", r"ca_bundle [/\\]: "), ("/a\0b", "it is not a path")]
)
def test_a_bundle_that_is_not_a_file_is_reported(path: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        ssl_context(Network(Path(path)))
    assert str(caught.value).isprintable()


async def test_a_logout_with_an_invalid_bundle_removes_the_local_token(tmp_path: Path) -> None:
    store = FileStore(tmp_path, report=print)
    store.save("acme", TOKEN)
    result = await logout("acme", store, network=Network(tmp_path / "none.pem"))
    assert result
    assert result.on_site is RevocationResult.UNREACHABLE
    assert store.load("acme") is None


# --- the proxy ---


def at(port: int, login: str = "") -> Proxy:
    return Proxy.parse(f"http://{login and login + '@'}127.0.0.1:{port}")


@pytest.mark.parametrize("by", ["setting", "environment"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_only_the_proxy_gets_user_and_password(
    acme: Sandbox,
    sites_ca: trustme.CA,
    bundles: Bundles,
    by: str,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    context = tls(sites_ca.issue_cert("localhost")) if scheme == "https" else None
    async with forwarding(context=context, login=f"jane:{PASSWORD}") as proxy:
        address = f"{scheme}://{IN_ADDRESS}@localhost:{proxy.port}"
        bundle = bundles.of(sites_ca)
        if by == "environment":
            monkeypatch.setenv("HTTPS_PROXY", address)
            network = Network(bundle)
        else:
            network = Network(bundle, Proxy.parse(address))
        assert await answer_of(acme, network) == 400
    [exchange] = acme.exchanges
    assert "Proxy-Authorization" not in exchange.headers
    assert len(proxy.requests) == 1
    assert "canary" not in caplog.text
    assert "Basic" not in caplog.text


@pytest.mark.parametrize(
    ("login", "todo"),
    [
        (
            "",
            "needs a user and a password: set proxy or HTTPS_PROXY to http://USER:PASSWORD@HOST",
        ),
        ("jane:canary-of-old", "The proxy refused the user"),
    ],
)
async def test_a_proxy_that_refuses_its_password_is_reported_with_a_hint(
    acme: Sandbox, bundles: Bundles, sites_ca: trustme.CA, login: str, todo: str
) -> None:
    async with forwarding(login=f"jane:{PASSWORD}") as proxy:
        words = (
            rf"^Cannot reach acme.test:\d+ through the proxy http://127.0.0.1:{proxy.port}:"
            r" it answered 407 X\.$"
        )
        with network_error(words, todo):
            await answer_of(acme, Network(bundles.of(sites_ca), at(proxy.port, login)))
    assert len(proxy.requests) == 1
    assert acme.exchanges == []


@pytest.mark.slow
async def test_an_unreachable_proxy_is_reported(acme: Sandbox) -> None:
    async with served(lambda *_: asyncio.sleep(0)) as port:
        pass
    with network_error(
        f"through the proxy http://127.0.0.1:{port}: Connection refused", "HTTPS_PROXY"
    ):
        await answer_of(acme, Network(proxy=at(port, "jane:canary")))


async def test_the_setting_takes_precedence_over_the_environment(
    acme: Sandbox, sites_ca: trustme.CA, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forwarding() as chosen, forwarding() as other:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{other.port}")
        monkeypatch.setenv("NO_PROXY", "*")
        assert await answer_of(acme, Network(bundles.of(sites_ca), at(chosen.port))) == 400
    assert len(chosen.requests) == 1
    assert other.requests == []


def test_proxy_none_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy")
    site = Site.parse("acme")
    assert proxy_for(site, Network()) == Proxy("http", "proxy", 80)
    assert proxy_for(site, Network(proxy="none")) is None


@pytest.mark.parametrize(
    ("site", "listed", "is_excepted"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3:8443", "acme.test 10.1.2.3", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://[fd00::7]", "10.0.0.0/8, fd00::/8", True),
        ("https://[fd00::7]", "[fd00::7]", True),
        ("https://soe.acme.test", "beta.test acme.test", True),
        ("https://soe.acme.test", "beta.test\t.acme.test.", True),
        ("https://soe.acme.test:8443", "soe.acme.test:8443", True),
        ("https://soe.acme.test", "acme.testing,me.test 10.0.0.0/33", False),
        ("https://soe.acme.test", "*", True),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(
    monkeypatch: pytest.MonkeyPatch, site: str, listed: str, *, is_excepted: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (proxy_for(Site.parse(site), Network()) is None) == is_excepted


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_loopback_site_ignores_the_proxy_setting(host: str) -> None:
    assert proxy_for(Site.parse(f"https://{host}"), Network(proxy=at(9))) is None


# --- intercepted TLS ---


async def test_a_proxy_that_intercepts_tls_reads_nothing_unless_its_ca_is_trusted(
    acme: Sandbox, sites_ca: trustme.CA, companys_ca: trustme.CA, bundles: Bundles
) -> None:
    async with forwarding(login=f"jane:{PASSWORD}", inspecting=companys_ca) as proxy:
        there = at(proxy.port, IN_ADDRESS)
        network = Network(bundles.of(sites_ca), there)
        with network_error("by an authority that is not in ca_bundle", "Nothing was sent."):
            await answer_of(acme, network)
        assert len(proxy.requests) == 1
        site = Site.parse(acme.url)
        tls_of_proxy = ssl_context(network)
        name = await find_issuer(site.host, site.connect_port, proxy=there, tls=tls_of_proxy)
        assert name
        assert name.startswith("Acme Inspection, Testing CA #")
        assert len(proxy.requests) == 3
        assert proxy.read == b""
        assert acme.exchanges == []
        known = Network(bundles.of(sites_ca, companys_ca), there)
        assert await answer_of(acme, known) == 400
        assert CANARY.reveal().encode() in proxy.read
    assert len(acme.exchanges) == 1


async def test_an_issuer_is_named_behind_an_https_proxy(
    acme: Sandbox, companys_ca: trustme.CA, bundles: Bundles
) -> None:
    context = tls(companys_ca.issue_cert("localhost"))
    async with forwarding(context=context, login=f"jane:{PASSWORD}") as proxy:
        there = Proxy.parse(f"https://{IN_ADDRESS}@localhost:{proxy.port}")
        site, context = Site.parse(acme.url), ssl_context(Network(bundles.of(companys_ca)))
        name = await find_issuer(site.host, site.connect_port, proxy=there, tls=context)
        assert name
        assert name.startswith("trustme")
        assert len(proxy.requests) == 2
    assert acme.exchanges == []


@needs_roots
async def test_without_a_bundle_the_machine_does_not_trust_an_unknown_authority(
    companys_ca: trustme.CA,
) -> None:
    async with Sandbox(strict=True, ssl_context=tls(companys_ca.issue_cert("localhost"))) as site:
        with network_error("by an authority that this machine does not trust", "`soe-auth doctor`"):
            await answer_of(site, Network())
        assert site.exchanges == []


@dataclass
class Once:
    """A server that shows its certificate once, and then hangs."""

    context: ssl.SSLContext
    requests: int = 0
    connected_again: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        if self.requests == 1:
            await writer.start_tls(self.context)
        else:
            self.connected_again.set()
            await reader.read()


async def named(context: ssl.SSLContext) -> str | None:
    async def close(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""

    async with served(close, context) as port:
        return await find_issuer("127.0.0.1", port, proxy=None, tls=ssl_context(Network()))


async def test_the_name_of_an_issuer_is_made_printable() -> None:
    ca = trustme.CA(organization_name="Acme\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 40)
    name = await named(tls(ca.issue_cert("x.test")))
    assert name
    assert name.isprintable()
    assert name.startswith("Acme\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}xx")
    assert len(name) <= 80


def signed_by_itself(folder: Path, *names: x509.NameAttribute[str]) -> ssl.SSLContext:
    """A server with a self-signed certificate of these issuer names."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name(names)
    certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    certificate = certificate.public_key(key.public_key()).serial_number(1)
    certificate = certificate.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "itself.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
        + certificate.sign(key, hashes.SHA256()).public_bytes(encoding)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "itself.pem")
    return context


@pytest.mark.parametrize(
    ("common", "organization", "name"),
    [
        ("Acme Root", "Acme", "Acme Root, Acme"),
        ("Acme", "Acme", "Acme"),
        ("Acme Root", "", "Acme Root"),
        ("", "Acme", "Acme"),
        ("", "", None),
    ],
)
async def test_the_common_name_of_an_issuer_comes_first(
    common: str, organization: str, name: str | None, tmp_path: Path
) -> None:
    names = [
        x509.NameAttribute(kind, value)
        for kind, value in (
            (NameOID.ORGANIZATION_NAME, organization),
            (NameOID.COMMON_NAME, common),
        )
        if value
    ]
    assert await named(signed_by_itself(tmp_path, *names)) == name


async def test_a_self_signed_certificate_is_its_own_issuer(tmp_path: Path) -> None:
    name = await named(tls_signed_by_itself(tmp_path))
    assert name
    assert name.startswith("trustme")


async def test_two_alternating_certificates_have_no_issuer(companys_ca: trustme.CA) -> None:
    async def another(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(tls(companys_ca.issue_cert("localhost")))

    async with served(another) as port:
        assert await find_issuer("localhost", port, proxy=None, tls=ssl_context(Network())) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "x" * 64 + ".test"])
async def test_a_closed_port_has_no_issuer(host: str) -> None:
    async with served(lambda *_: asyncio.sleep(0)) as port:
        pass
    assert await find_issuer(host, port, proxy=None, tls=ssl_context(Network())) is None


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 X\r\n\r\n", b"x" * 70_000, b"HTTP/1.1 200"])
async def test_a_proxy_that_does_not_connect_shows_no_issuer(answer: bytes) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT [::2]:443 HTTP/1.1\r\n")
        writer.write(answer)

    async with served(refuse) as port:
        assert await find_issuer("::2", 443, proxy=at(port), tls=ssl_context(Network())) is None


async def test_the_look_up_of_the_issuer_times_out() -> None:
    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    context = ssl_context(Network())
    async with served(wait) as port:
        for proxy in (None, at(port)):
            issuer = find_issuer("127.0.0.1", port, proxy=proxy, tls=context, time_limit=0.1)
            assert await issuer is None


# --- whole commands ---


@pytest.mark.posix("sends a POSIX signal")
@pytest.mark.process
async def test_ctrl_c_ends_the_look_up_of_the_issuer_at_once(
    soe_auth: Command, companys_ca: trustme.CA
) -> None:
    once = Once(tls(companys_ca.issue_cert("localhost")))
    async with served(once) as port:
        command = await asyncio.create_subprocess_exec(
            soe_auth.path,
            *("doctor", "--site", f"https://localhost:{port}"),
            env=soe_auth.environ,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        await once.connected_again.wait()
        command.send_signal(signal.SIGINT)
        before = time.monotonic()
        _, stderr = await command.communicate()
        assert time.monotonic() - before < 1
    assert command.returncode == 130
    assert stderr == b"\nsoe-auth: interrupted.\n"


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
async def test_a_whole_login_behind_an_intercepting_proxy_with_a_password(
    soe_auth: Command, sites_ca: trustme.CA, companys_ca: trustme.CA, bundles: Bundles
) -> None:
    bundle = bundles.of(companys_ca)
    script = soe_auth.home / "browser.py"
    script.write_text(BROWSER_BEHIND_A_PROXY)
    config = soe_auth.home / "config" / "config.toml"
    config.parent.mkdir()
    context = tls(sites_ca.issue_cert("acme.test"))
    with running(strict=True, host="acme.test", ssl_context=context) as site:
        async with forwarding(login=f"jane:{PASSWORD}", inspecting=companys_ca) as proxy:
            address = f"http://{IN_ADDRESS}@127.0.0.1:{proxy.port}"
            browser = shlex.join([sys.executable, str(script), str(bundle), address])
            login = ("login", "--site", site.url, "--client-id", "110", "--browser", browser)
            command = soe_auth.with_variables(SOE_AUTH_PROXY=address)
            refused = await asyncio.to_thread(command, *login)
            assert refused.returncode == 6
            assert "that this machine does not trust.\n  Nothing was sent." in refused.stderr
            assert site.exchanges == []
            config.write_text(f'ca_bundle = "{bundle}"\nproxy = "{address}"\n')
            done = await asyncio.to_thread(soe_auth, *login)
            assert done.returncode == 0, done.stderr
            assert "Signed in to acme.test" in done.stderr
            gone = await asyncio.to_thread(soe_auth, "logout")
            assert (gone.returncode, len(site.exchanges)) == (0, 1)
        listed = await asyncio.to_thread(soe_auth, "config", "list")
        shown = [refused.stderr, done.stderr, gone.stderr, listed.stdout, listed.stderr]
        assert "canary" not in "".join(shown)
        files = [path for path in config.parent.rglob("*") if path.is_file()]
        assert [path.name for path in files if b"canary" in path.read_bytes()] == ["config.toml"]


def test_every_call_to_a_site_uses_proxy_and_bundle() -> None:
    calls = [
        (path.name, node)
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.relative_to(PACKAGE).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"connect", "exchange.connect"}
    ]
    assert calls
    for name, call in calls:
        assert "network" in [keyword.arg for keyword in call.keywords], name
