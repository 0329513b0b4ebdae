"""The paste door, and what is asked for, on a real pseudo-terminal."""

import asyncio
import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pexpect
import pytest
from conftest import Command

from soe_auth.sandbox import Sandbox
from soe_auth.sandbox.visitor import visit

pytestmark = pytest.mark.process

Start = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def start(soe_auth: Command) -> Iterator[Start]:
    children: list[pexpect.spawn[str]] = []

    def start(*argv: str) -> "pexpect.spawn[str]":
        child = pexpect.spawn(
            soe_auth.path, list(argv), env=soe_auth.environ, encoding="utf-8", timeout=15
        )
        child.setwinsize(40, 400)  # so that no address is wrapped
        child.delaybeforesend = None
        children.append(child)
        return child

    yield start
    for child in children:
        child.close(force=True)


def by_hand(start: Start, site: Sandbox) -> tuple["pexpect.spawn[str]", str]:
    """Start a login to the site's own page, and return it with the address it asks to open."""
    child = start(
        "login",
        *("--site", site.url, "--client-id", "112"),
        *("--redirect", "login_success", "--no-browser"),
    )
    child.expect(r"(http://\S+/oauth\?\S+)")
    address = child.match[1]
    child.expect("Paste the address")
    return child, address


def end_of(child: "pexpect.spawn[str]") -> tuple[int | None, str]:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before


def test_the_pasted_address_of_the_sites_own_page_signs_in(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    child, address = by_hand(start, site)
    child.sendline(asyncio.run(visit(address)).url)
    code, text = end_of(child)
    assert code == 0
    assert "Signed in to localhost" in text
    assert soe_auth("token").returncode == 0


def test_what_cannot_be_checked_is_refused_and_the_door_stays_open(
    start: Start, site: Sandbox
) -> None:
    child, address = by_hand(start, site)
    ended = asyncio.run(visit(address)).url
    child.sendline(parse_qs(urlsplit(ended).query)["code"][0])
    child.expect("a code alone cannot be checked; paste the whole address")
    child.sendline(ended.replace("state=", "state=x"))
    child.expect("the state was not this login's")
    child.sendline(address)
    child.expect("does not begin with")
    child.sendline("")
    child.sendline(ended)
    assert end_of(child)[0] == 0


def test_a_refusal_may_be_pasted_at_a_listener_too(start: Start, site: Sandbox) -> None:
    child = start("login", "--site", site.url, "--client-id", "110", "--no-browser")
    child.expect(r"(http://\S+/oauth\?\S+)")
    query = parse_qs(urlsplit(child.match[1]).query)
    child.expect("if it cannot come back by itself")
    child.sendline(f"{query['redirect_uri'][0]}?error=access_denied&state={query['state'][0]}")
    code, text = end_of(child)
    assert code == 4
    assert "access_denied" in text


def test_ctrl_c_at_the_paste_door_ends_the_login(start: Start, site: Sandbox) -> None:
    child, _ = by_hand(start, site)
    child.sendintr()
    code, text = end_of(child)
    assert code == 130
    assert "soe-auth: interrupted." in text
    assert "Traceback" not in text


def test_ctrl_d_closes_the_only_door(start: Start, site: Sandbox) -> None:
    child, _ = by_hand(start, site)
    child.sendeof()
    code, text = end_of(child)
    assert code == 4
    assert "closed before an address was pasted" in text


def test_exchange_asks_for_its_secrets_without_showing_them(
    start: Start, site: Sandbox, soe_auth: Command
) -> None:
    pair = json.loads(soe_auth("pkce", "--json").stdout)
    own = ("--site", site.url, "--client-id", "112")
    url = soe_auth("url", *own, "--code-challenge", pair["code_challenge"]).stdout.strip()
    query = parse_qs(urlsplit(asyncio.run(visit(url)).url).query)
    child = start("exchange", *own)
    child.expect("Code: ")
    child.sendline(query["code"][0])
    child.expect("Code verifier: ")
    child.sendline(pair["code_verifier"])
    code, text = end_of(child)
    assert code == 0
    assert pair["code_verifier"] not in text
    assert query["code"][0] not in text
