"""Whose program is at the other end, on real sockets of real users where the test may be them."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from soe_auth.loopback.peer_user import ORPHAN, other_user, owner_of, user_name
from soe_auth.loopback.port_owner import why_busy
from soe_auth.loopback.sockets import Address

NOBODY = 65534
Ask: TypeAlias = Callable[[Address, Address], int | None]


@pytest.fixture(params=["127.0.0.1", "::1"])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((request.param, 0))
        listening.listen()
        yield listening


def unknown(_end: Address, _other: Address) -> None:
    """Know nothing, as sock_diag does where the system does not have it."""


both_ways = pytest.mark.parametrize("ask", [owner_of, unknown], ids=["sock_diag", "tables"])


@both_ways
def test_a_program_of_the_same_user_is_no_stranger(listening: socket.socket, ask: Ask) -> None:
    with socket.create_connection(listening.getsockname()[:2]):
        accepted, peer = listening.accept()
        with accepted:
            assert other_user(peer[:2], accepted.getsockname()[:2], ask=ask) is None


@pytest.mark.rfc("another user of the machine")
@pytest.mark.posix("asks Linux who owns a connection")
@pytest.mark.as_root
@pytest.mark.process
@both_ways
@pytest.mark.parametrize("prefix", ["", "::ffff:"], ids=["as itself", "mapped to IPv6"])
def test_a_program_of_another_user_is_recognised(
    listening: socket.socket, prefix: str, ask: Ask
) -> None:
    root = os.geteuid() == 0
    host, port = listening.getsockname()[:2]
    host = host if ":" in host else prefix + host
    # The system's own Python: another user may not be able to enter where the tests' one lies.
    script = f"import socket; socket.create_connection(({host!r}, {port})).recv(1)"
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", "-S", "-c", script], user=NOBODY if root else None
    ):
        accepted, peer = listening.accept()
        with accepted:
            own = accepted.getsockname()[:2]
            # Only root can be two users; anybody else is told to look as somebody else would.
            whose = other_user(peer[:2], own, user=None if root else NOBODY, ask=ask)
            assert whose == (NOBODY if root else os.geteuid())


@pytest.mark.posix("asks Linux who owns a connection")
def test_the_kernel_tells_of_each_end_of_a_connection_and_of_nothing_else(
    listening: socket.socket,
) -> None:
    end = listening.getsockname()[:2]
    with socket.create_connection(end) as near:
        accepted, peer = listening.accept()
        with accepted:
            assert owner_of(peer[:2], end) == owner_of(end, peer[:2]) == os.geteuid()
            assert owner_of(end, (end[0], near.getsockname()[1] ^ 1)) is None  # there it listens
            assert owner_of((end[0], 0), peer[:2]) is None
            near.close()
            # Older kernels name root then, newer ones still the last user.
            assert owner_of(peer[:2], end) == ORPHAN
    assert owner_of(("", 0), ("", 0)) is None


@pytest.mark.posix("asks Linux who owns a connection")
@pytest.mark.process
def test_what_the_kernel_tells_at_once_is_what_its_tables_say(listening: socket.socket) -> None:
    with ExitStack() as connected:
        for _ in range(40):
            near = connected.enter_context(socket.create_connection(listening.getsockname()[:2]))
            far, _ = listening.accept()
            connected.enter_context(far)
            ends = near.getsockname()[:2], far.getsockname()[:2]
            for user in (os.geteuid(), os.geteuid() + 1):
                told = [other_user(*ends, user=user, ask=ask) for ask in (owner_of, unknown)]
                assert len(set(told)) == 1


@both_ways
def test_what_a_program_sent_and_left_is_nobodys_and_so_not_roots(
    listening: socket.socket, ask: Ask
) -> None:
    if not Path("/proc/net/tcp").exists():
        return  # only Linux tells
    near = socket.create_connection(listening.getsockname()[:2])
    near.sendall(b"x")
    near.close()
    accepted, peer = listening.accept()
    with accepted:
        assert other_user(peer[:2], accepted.getsockname()[:2], ask=ask) == ORPHAN


def test_a_user_is_named_or_else_numbered() -> None:
    assert user_name(123_456_789) == "user 123456789"
    if os.name == "posix":
        assert user_name(0) == "user root"


def test_root_is_no_stranger_to_anybody(tmp_path: Path) -> None:
    table = "  0: 0100007F:C001 0100007F:C002 01 0:0 0:0 0 {uid} 0 1\n"
    ends = ("127.0.0.1", 0xC001), ("127.0.0.1", 0xC002)
    (tmp_path / "net").mkdir()
    for owner, other in ((0, None), (1000, None), (1001, 1001)):
        (tmp_path / "net" / "tcp").write_text(table.format(uid=owner))
        assert other_user(*ends, user=1000, ask=unknown, proc=tmp_path) == other
        assert other_user(*ends, user=1000, ask=lambda *_, uid=owner: uid) == other


def test_where_nobody_can_tell_nobody_is_a_stranger(tmp_path: Path) -> None:
    ends = ("127.0.0.1", 1), ("127.0.0.1", 2)
    assert other_user(*ends, user=1000, proc=tmp_path) is None
    assert other_user(("", 0), ("", 0), user=1000) is None
    table = tmp_path / "net" / "tcp"
    table.parent.mkdir()
    table.write_text("  sl  local_address rem_address\n")
    assert other_user(*ends, user=1000, proc=tmp_path) is None
    table.write_text("  0: 0100007F:0001 0100007F:0002 01 0:0 0:0 0 ? 0 1\n")
    assert other_user(*ends, user=1000, proc=tmp_path) is None


HEAD = "  sl  local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode\n"
ROW = "  0: {local} 00000000:0000 {state} 0:0 0:0 0 1000 0 {inode} 1\n"


def table(directory: Path, name: str, *rows: tuple[str, str, str]) -> None:
    (directory / "net").mkdir(exist_ok=True)
    text = "".join(ROW.format(local=a, state=s, inode=i) for a, s, i in rows)
    (directory / "net" / name).write_text(HEAD + text)


def process(directory: Path, pid: int, name: str, inode: str) -> None:
    (directory / str(pid) / "fd").mkdir(parents=True)
    (directory / str(pid) / "comm").write_text(f"{name}\n")
    (directory / str(pid) / "fd" / "0").symlink_to("/dev/null")
    (directory / str(pid) / "fd" / "7").symlink_to(f"socket:[{inode}]")


@pytest.mark.posix("Linux tells of a process by links in /proc")
@pytest.mark.parametrize(
    ("family", "local"),
    [
        ("tcp", "0100007F:1F90"),
        ("tcp", "00000000:1F90"),
        ("tcp6", "00000000000000000000000001000000:1F90"),
        ("tcp6", "00000000000000000000000000000000:1F90"),
    ],
)
def test_a_ports_holder_is_named_fit_to_be_shown(tmp_path: Path, family: str, local: str) -> None:
    table(tmp_path, family, ("0100007F:1F91", "0A", "1"), (local, "0A", "4711"))
    process(tmp_path, 17, "other", "1")
    process(tmp_path, 4242, "no\x1bde", "4711")
    (tmp_path / "18").mkdir()  # it has ended by now
    assert (
        why_busy(8080, proc=tmp_path) == "is held by process 4242 (no\N{REPLACEMENT CHARACTER}de)"
    )


def test_a_program_that_is_not_ours_to_see_is_another_users(tmp_path: Path) -> None:
    table(tmp_path, "tcp", ("0100007F:1F90", "0A", "4711"))
    assert why_busy(8080, proc=tmp_path) == "is held by a program of another user"


def test_what_keeps_a_port_busy_is_not_guessed(tmp_path: Path) -> None:
    assert why_busy(8080, proc=tmp_path) is None
    table(tmp_path, "tcp", ("0B00000A:1F90", "0A", "1"), ("0100007F:1F90", "05", "0"))
    (tmp_path / "net" / "tcp6").write_bytes(b"\xff\n")
    assert why_busy(8080, proc=tmp_path) is None
    table(tmp_path, "tcp", ("0100007F:1F90", "06", "0"))
    assert "within a minute" in (why_busy(8080, proc=tmp_path) or "")
