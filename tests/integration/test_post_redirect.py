"""After the redirect: what is loaded before it, and what the token does not wait for."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from conftest import BROWSER, Command, unmeasured
from tls_servers import tls

from soe_auth.model.network import Network
from soe_auth.sandbox import Quirks, Sandbox, running
from soe_auth.site_client.tls import ssl_context

LOADED_BY_A_CALL = """
import sys
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async
from soe_auth.oauth.token_endpoint import parse_token_response
from soe_auth import Secret
from soe_auth import Site

async def main():
    async with connect(Site.parse(sys.argv[1])) as connection:
        await connection.warm_up()
        before = set(sys.modules)
        assert (await connection.exchange(Secret("code=x"))).status == 400
        assert await connection.account_name(Secret("x")) is None
        print(sorted(set(sys.modules) - before))

run_async(main())
"""


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A CA in the place of the system's."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return ca


@contextmanager
def sandbox_site(scheme: str, ca: trustme.CA) -> Iterator[Sandbox]:
    context = tls(ca.issue_cert("localhost")) if scheme == "https" else None
    with running(strict=True, ssl_context=context) as sandbox:
        yield sandbox


# --- loaded before ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_after_warm_up_the_first_call_imports_nothing(scheme: str, ca: trustme.CA) -> None:
    with sandbox_site(scheme, ca) as sandbox:
        done = subprocess.run(
            [sys.executable, "-c", LOADED_BY_A_CALL, sandbox.url],
            env=unmeasured(os.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
        assert len(sandbox.exchanges) == 1  # the warm-up sent nothing


@pytest.mark.posix("Windows itself checks certificates, so that no file of CAs is read")
def test_the_system_cas_are_read_once_before_any_connection(ca: trustme.CA, tmp_path: Path) -> None:
    context = ssl_context(Network())
    assert type(context) is ssl.SSLContext
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    (tmp_path / "ca.pem").unlink()
    client, server = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    client_side = context.wrap_bio(*client, server_hostname="localhost")
    server_side = tls(ca.issue_cert("localhost")).wrap_bio(*server, server_side=True)
    for end, (_, sent), (received, _) in [
        (client_side, client, server),
        (server_side, server, client),
        (client_side, client, server),
    ]:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
        received.write(sent.read())
    assert client_side.getpeercert()


def test_truststore_is_used_where_openssl_finds_no_ca_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert type(ssl_context(Network())).__module__.startswith("truststore")


# --- order of the output ---


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_token_is_printed_before_the_account_is_known(soe_auth: Command, site: Sandbox) -> None:
    site.quirks = Quirks(account="hang")
    command = soe_auth.with_variables(
        SOE_AUTH_SITE=site.url, SOE_AUTH_CLIENT_ID="110", BROWSER=BROWSER
    )
    with subprocess.Popen(
        [command.path, "token", "--login"],
        env=command.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as login:
        assert login.stdout
        assert login.stderr
        token = login.stdout.readline().strip()
        assert login.poll() is None  # it waits for the account, and the page with it
        assert command("token").stdout.strip() == token != ""
        assert login.stdout.read() == ""
        assert "Signed in to localhost" in login.stderr.read()
    assert login.returncode == 0


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_an_error_in_printing_the_token_is_reported_once_at_the_end(
    soe_auth: Command, site: Sandbox, tmp_path: Path
) -> None:
    command = soe_auth.with_variables(
        SOE_AUTH_SITE=site.url, SOE_AUTH_CLIENT_ID="110", BROWSER=BROWSER
    )
    nowhere = command("token", "--login", "-o", str(tmp_path / "none/token"))
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert nowhere.stderr.count("none/token: No such file") == 1
    assert "Signed in to localhost" in nowhere.stderr
    too_short = command("token", "--login", "--min-ttl", "25h")
    assert (too_short.returncode, too_short.stdout) == (3, "")
    assert too_short.stderr.count("soe-auth: ") == 1
    assert too_short.stderr.count("min_ttl is 25 h") == 1


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_a_format_with_the_account_waits_for_it(soe_auth: Command, site: Sandbox) -> None:
    command = soe_auth.with_variables(
        SOE_AUTH_SITE=site.url, SOE_AUTH_CLIENT_ID="110", BROWSER=BROWSER
    )
    done = command("token", "--login", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"account": "Jane Doe"') == 1
