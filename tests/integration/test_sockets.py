"""Loopback sockets: which ports and hosts are bound, and that no other process shares them."""

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
from soe_auth.loopback.socket_owner import why_busy
from soe_auth.loopback.sockets import bind, require_loopback
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


def test_the_kernel_accepts_connections_before_the_server_runs() -> None:
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
        free.bind(("127.0.0.1", port))  # no socket of the login is left on it


def test_a_chosen_port_is_the_one_that_is_bound() -> None:
    free = bind(0, "localhost")
    free.close()
    again = bind(free.port, "localhost")
    again.close()
    assert again.port == free.port


def test_a_redirect_host_must_resolve_to_the_loopback_only() -> None:
    bind(0, "::1").close()  # an address that is looked up as a name is
    with pytest.raises(LoopbackUnavailable, match=r"it resolves to 127\.0\.0\.2") as refused:
        bind(0, "127.0.0.2")
    assert "Add `127.0.0.1 127.0.0.2` to the hosts file" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], None),
        (["127.0.0.1", "::1"], None),
        (["127.0.0.1", "192.0.2.7"], "it resolves to 192.0.2.7, not only to 127.0.0.1 or ::1."),
        (["fe80::1"], "it resolves to fe80::1"),
        ([], "it does not resolve: Name or service not known"),
    ],
)
def test_a_host_that_also_resolves_elsewhere_is_refused(
    addresses: list[str], why: str | None
) -> None:
    def lookup(name: str, _port: int) -> tuple[str, ...]:
        assert name == "login.corp.example"
        if not addresses:
            raise OSError(-2, "Name or service not known")
        return tuple(addresses)

    if why is None:
        require_loopback("login.corp.example", lookup)
        return
    with pytest.raises(
        LoopbackUnavailable,
        match=re.escape(f"for the redirect: {why}"),
    ):
        require_loopback("login.corp.example", lookup)


def listen_on(port: int = 0) -> socket.socket:
    other = socket.socket()
    other.bind(("127.0.0.1", port))
    other.listen()
    return other


def test_the_first_port_of_a_range_that_is_free_on_both_families_is_bound() -> None:
    ports = three_free_ports()
    with listen_on(ports.first), socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", ports.first + 1))
        bound = bind(ports.numbers, "localhost")
        assert bound.port == ports.last
        message = rf"none of {ports} is free; port {ports.first} is busy"
        with bound.sockets[0], bound.sockets[1], pytest.raises(LoopbackUnavailable, match=message):
            bind(ports.numbers, "localhost", lambda _: "is busy")


@pytest.mark.posix("reads /proc")
def test_a_busy_port_is_reported_with_its_process() -> None:
    with listen_on() as other:
        port = other.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        with pytest.raises(LoopbackUnavailable) as error:
            bind(port, "localhost", why_busy)
    assert f"port {port} is in use by process {os.getpid()} ({name})." in str(error.value)


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
        connection.close()  # the side that closes first keeps the address, as a server does
        client.close()
        for each in (listening, *others):
            each.close()


@pytest.mark.posix("without the option, a used port stays in TIME-WAIT")
def test_a_port_in_time_wait_is_reported_and_skipped_in_a_range() -> None:
    ports = three_free_ports()
    with listen_on(ports.first) as server:
        client = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
        connection.close()
        client.close()
    with pytest.raises(LoopbackUnavailable, match="used a moment ago, and is free again within a"):
        bind(ports.first, "localhost", why_busy)
    bound = bind(ports.numbers, "localhost", why_busy)
    bound.close()
    assert bound.port == ports.first + 1


# Every way in which another process could share the port.
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


@pytest.mark.rfc("8252-B.5")
@pytest.mark.process
@pytest.mark.as_root
def test_no_socket_option_lets_another_process_share_the_port() -> None:
    root = sys.platform != "win32" and os.geteuid() == 0  # can start a process of another user
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


@pytest.mark.skipif(sys.platform == "win32", reason="SO_EXCLUSIVEADDRUSE excludes all others")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104  # this is what the test needs
def test_a_socket_that_was_bound_before_cannot_listen_afterwards(host: str) -> None:
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
def test_without_file_descriptors_the_bind_error_says_why() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        with pytest.raises(LoopbackUnavailable, match="for the redirect: Too many open files"):
            bind(0, "localhost")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_closed_port_refuses_connections() -> None:
    bound = bind(0, "localhost")
    bound.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bound.port), timeout=1)


# A network namespace of its own: lo comes up, then loses a family.
NETWORK_WITHOUT_A_FAMILY = """
import fcntl, socket, struct
from soe_auth.loopback.sockets import bind, require_loopback
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
    ("absent", "host", "output"),
    [
        ("IPv6", "localhost", "127.0.0.1"),
        ("IPv6", "127.0.0.1", "127.0.0.1"),
        ("IPv4", "localhost", "::1"),
        ("IPv4", "127.0.0.1", "this machine has no such loopback address"),
    ],
)
def test_a_family_may_be_absent_unless_the_redirect_names_it(
    absent: str, host: str, output: str
) -> None:
    script = NETWORK_WITHOUT_A_FAMILY.format(absent=absent, host=host)
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--net", *as_root, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert output in done.stdout + done.stderr
    assert ("LoopbackUnavailable" in done.stderr) is (output.startswith("this"))
