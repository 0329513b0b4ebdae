import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from callback_server import three_free_ports

from soe_auth import LoopbackUnavailable
from soe_auth.loopback.host_name import require_loopback
from soe_auth.loopback.port_owner import why_busy
from soe_auth.loopback.sockets import bind
from soe_auth.sandbox.sockets import bind_loopback

if sys.platform != "win32":
    import resource


@pytest.mark.rfc("8252-7.3", "8252-8.3")
def test_one_port_is_bound_on_both_loopback_addresses_and_on_no_other() -> None:
    bound = bind(0, "localhost")
    try:
        addresses = {s.getsockname()[:2] for s in bound.sockets}
        assert addresses == {("127.0.0.1", bound.port), ("::1", bound.port)}
    finally:
        bound.close()


def test_the_kernel_holds_who_comes_before_anybody_serves() -> None:
    bound = bind(0, "localhost")
    try:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, bound.port), timeout=1).close()
    finally:
        bound.close()


@pytest.mark.rfc("8252-B.5")
def test_no_port_is_shared() -> None:
    bound = bind(0, "127.0.0.1")
    try:
        for listening in bound.sockets:
            if sys.platform == "win32":
                assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE) == 1
            else:
                assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        with pytest.raises(LoopbackUnavailable, match=f"port {bound.port} cannot "):
            bind(bound.port, "127.0.0.1")
    finally:
        bound.close()


def test_a_port_that_is_taken_on_one_family_only_is_not_used() -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LoopbackUnavailable):
            bind(port, "localhost")
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))  # nothing of ours was left on it


def test_a_chosen_port_is_the_one_that_is_bound() -> None:
    free = bind(0, "localhost")
    free.close()
    again = bind(free.port, "localhost")
    again.close()
    assert again.port == free.port


def test_a_redirects_host_has_to_mean_the_loopback_and_nothing_else() -> None:
    bind(0, "::1").close()  # an address that is looked up as a name is
    with pytest.raises(LoopbackUnavailable, match=r"it is 127\.0\.0\.2 here") as refused:
        bind(0, "127.0.0.2")
    assert "the hosts file say `127.0.0.1 127.0.0.2`" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], None),
        (["127.0.0.1", "::1"], None),
        (["127.0.0.1", "192.0.2.7"], "it is 192.0.2.7 here, and not 127.0.0.1 or ::1 alone"),
        (["fe80::1"], "it is fe80::1 here"),
        ([], "this machine cannot look it up: Name or service not known"),
    ],
)
def test_a_name_that_also_leads_elsewhere_is_refused(addresses: list[str], why: str | None) -> None:
    def known(name: str, _port: int) -> tuple[str, ...]:
        assert name == "login.corp.example"
        if not addresses:
            raise OSError(-2, "Name or service not known")
        return tuple(addresses)

    if why is None:
        require_loopback("login.corp.example", known)
        return
    with pytest.raises(
        LoopbackUnavailable,
        match=re.escape(f"for the redirect: {why}"),
    ):
        require_loopback("login.corp.example", known)


def taken(port: int = 0) -> socket.socket:
    other = socket.socket()
    other.bind(("127.0.0.1", port))
    other.listen()
    return other


def test_of_a_range_the_first_port_that_is_free_on_both_families_is_taken() -> None:
    ports = three_free_ports()
    with taken(ports.first), socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", ports.first + 1))
        bound = bind(ports.numbers, "localhost")
        assert bound.port == ports.last
        message = rf"none of {ports} is free; port {ports.first} is held by somebody"
        with bound.sockets[0], bound.sockets[1], pytest.raises(LoopbackUnavailable, match=message):
            bind(ports.numbers, "localhost", lambda _: "is held by somebody")


@pytest.mark.posix("reads /proc")
def test_a_busy_port_names_who_holds_it() -> None:
    with taken() as other:
        port = other.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        with pytest.raises(LoopbackUnavailable) as error:
            bind(port, "localhost", why_busy)
    assert f"port {port} is held by process {os.getpid()} ({name})." in str(error.value)


@pytest.mark.parametrize("bind_at", [lambda port: bind(port, "localhost").sockets, bind_loopback])
def test_a_port_is_free_again_as_soon_as_its_last_connection_has_ended(
    bind_at: Callable[[int], Sequence[socket.socket]],
) -> None:
    port = 0
    for _ in range(2):
        listening, *others = bind_at(port)
        port = listening.getsockname()[1]
        listening.setblocking(True)  # noqa: FBT003  # the socket module's own signature
        client = socket.create_connection(listening.getsockname())
        connection, _ = listening.accept()
        connection.close()  # who closes first keeps the address, as a server does that is done
        client.close()
        for each in (listening, *others):
            each.close()


@pytest.mark.posix("a port that was used without the option rests for a minute")
def test_where_a_port_rests_it_is_told_and_a_range_steps_over_it() -> None:
    ports = three_free_ports()
    with taken(ports.first) as server:
        client = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
        connection.close()
        client.close()
    with pytest.raises(LoopbackUnavailable, match="used a moment ago, and will be free within a"):
        bind(ports.first, "localhost", why_busy)
    bound = bind(ports.numbers, "localhost", why_busy)
    bound.close()
    assert bound.port == ports.first + 1


# What another user may try with the port: as many ways to share it as sockets have.
SHARING = """
import itertools, socket, sys
port = int(sys.argv[1])
names = ["SO_REUSEADDR", "SO_REUSEPORT"]
options = [getattr(socket, name) for name in names if hasattr(socket, name)]
for host, some in itertools.product(
    ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"], [[], options[:1], options]
):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as other:
        for option in some:
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            other.bind((host, port))
            other.listen()
        except OSError:
            continue
        sys.exit(f"{host} with {some} was shared")
"""


@pytest.mark.process
@pytest.mark.as_root
def test_nobody_shares_a_port_that_we_listen_at_whatever_they_ask_for() -> None:
    root = sys.platform != "win32" and os.geteuid() == 0  # who can be another user
    python = "/usr/bin/python3" if root else sys.executable
    bound = bind(0, "localhost")
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-c", SHARING, str(bound.port)],
            user=65534 if root else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        bound.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there the option keeps all others off")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # what is looked for
def test_who_is_bound_there_before_us_and_does_not_listen_cannot_any_more(host: str) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, 0))
        try:
            bound = bind(other.getsockname()[1], "localhost")
        except LoopbackUnavailable:
            return
        try:
            with pytest.raises(OSError, match=r"in use"):
                other.listen()
        finally:
            bound.close()


@pytest.mark.posix("limits how many files a process may open")
def test_where_no_socket_can_be_had_at_all_it_says_why() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        with pytest.raises(LoopbackUnavailable, match="for the redirect: Too many open files"):
            bind(0, "localhost")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_address_is_gone_once_closed() -> None:
    bound = bind(0, "localhost")
    bound.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bound.port), timeout=1)


# A network of the test's own, whose loopback it may take apart: lo comes up, then loses a family.
ALONE = """
import fcntl, socket, struct
from soe_auth.loopback.sockets import bind
from soe_auth.sandbox.sockets import bind_loopback
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x49))  # SIOCSIFFLAGS: up, running
    if {absent!r} == "IPv4":
        no_address = struct.pack("16sH22x", b"lo", socket.AF_INET)
        fcntl.ioctl(s, 0x8916, no_address)  # SIOCSIFADDR
    else:
        open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "w").write("1")
bound = bind(0, {host!r})
print(*(listening.getsockname()[0] for listening in bound.sockets))
bound.close()
"""


@pytest.mark.rfc("8252-7.3")
@pytest.mark.posix("makes a network of its own by unshare")
@pytest.mark.as_root
@pytest.mark.process
@pytest.mark.parametrize(
    ("absent", "host", "said"),
    [
        ("IPv6", "localhost", "127.0.0.1"),
        ("IPv6", "127.0.0.1", "127.0.0.1"),
        ("IPv4", "localhost", "::1"),
        ("IPv4", "127.0.0.1", "this machine has no such loopback address"),
    ],
)
def test_a_family_may_be_absent_unless_the_redirect_names_it(
    absent: str, host: str, said: str
) -> None:
    script = ALONE.format(absent=absent, host=host)
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--net", *as_root, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert said in done.stdout + done.stderr
    assert ("LoopbackUnavailable" in done.stderr) is (said.startswith("this"))
