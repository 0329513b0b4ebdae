"""Which user owns the other end of a connection, and which process a port: on real sockets."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from soe_auth.loopback.socket_owner import ORPHAN, find_user, other_user, user_name, why_busy
from soe_auth.loopback.sockets import Address

OTHER_UID = 65534
Query: TypeAlias = Callable[[Address, Address], int | None]


@pytest.fixture(params=["127.0.0.1", "::1"])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((request.param, 0))
        listening.listen()
        yield listening


def unknown(_end: Address, _other: Address) -> None:
    """Return nothing, as find_user does on a system without sock_diag."""


both_queries = pytest.mark.parametrize("query", [find_user, unknown], ids=["sock_diag", "tables"])


@both_queries
def test_a_process_of_the_same_user_is_not_another_user(
    listening: socket.socket, query: Query
) -> None:
    with socket.create_connection(listening.getsockname()[:2]):
        accepted, peer = listening.accept()
        with accepted:
            assert other_user(peer[:2], accepted.getsockname()[:2], query=query) is None


@pytest.mark.rfc("another user of the machine")
@pytest.mark.posix("asks Linux who owns a connection")
@pytest.mark.as_root
@pytest.mark.process
@both_queries
@pytest.mark.parametrize("prefix", ["", "::ffff:"], ids=["as itself", "mapped to IPv6"])
def test_a_process_of_another_user_is_recognised(
    listening: socket.socket, prefix: str, query: Query
) -> None:
    root = os.geteuid() == 0
    host, port = listening.getsockname()[:2]
    host = host if ":" in host else prefix + host
    # The system's own Python, as another user may have no access to that of the tests.
    script = f"import socket; socket.create_connection(({host!r}, {port})).recv(1)"
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", "-S", "-c", script], user=OTHER_UID if root else None
    ):
        accepted, peer = listening.accept()
        with accepted:
            own = accepted.getsockname()[:2]
            # Only root can start a process of another user; others compare with another user.
            found = other_user(peer[:2], own, user=None if root else OTHER_UID, query=query)
            assert found == (OTHER_UID if root else os.geteuid())


@pytest.mark.posix("asks Linux who owns a connection")
def test_sock_diag_finds_each_end_of_a_connection_and_nothing_else(
    listening: socket.socket,
) -> None:
    end = listening.getsockname()[:2]
    with socket.create_connection(end) as near:
        accepted, peer = listening.accept()
        with accepted:
            assert find_user(peer[:2], end) == find_user(end, peer[:2]) == os.geteuid()
            assert find_user(end, (end[0], near.getsockname()[1] ^ 1)) is None  # it listens
            assert find_user((end[0], 0), peer[:2]) is None
            near.close()
            # Older kernels name root then, newer ones still the last user.
            assert find_user(peer[:2], end) == ORPHAN
    assert find_user(("", 0), ("", 0)) is None


@pytest.mark.posix("asks Linux who owns a connection")
@pytest.mark.process
def test_sock_diag_and_the_tables_agree(listening: socket.socket) -> None:
    with ExitStack() as connected:
        for _ in range(40):
            near = connected.enter_context(socket.create_connection(listening.getsockname()[:2]))
            far, _ = listening.accept()
            connected.enter_context(far)
            ends = near.getsockname()[:2], far.getsockname()[:2]
            for user in (os.geteuid(), os.geteuid() + 1):
                found = [
                    other_user(*ends, user=user, query=query) for query in (find_user, unknown)
                ]
                assert len(set(found)) == 1


@both_queries
def test_an_end_that_was_closed_is_an_orphan_and_not_roots(
    listening: socket.socket, query: Query
) -> None:
    if not Path("/proc/net/tcp").exists():
        return  # only Linux knows the owner
    near = socket.create_connection(listening.getsockname()[:2])
    near.sendall(b"x")
    near.close()
    accepted, peer = listening.accept()
    with accepted:
        assert other_user(peer[:2], accepted.getsockname()[:2], query=query) == ORPHAN


def test_a_user_is_shown_by_name_or_by_number() -> None:
    assert user_name(123_456_789) == "user 123456789"
    assert user_name(ORPHAN) == "an unknown user"
    if os.name == "posix":
        assert user_name(0) == "user root"


def test_root_is_never_another_user(tmp_path: Path) -> None:
    table = "  0: 0100007F:C001 0100007F:C002 01 0:0 0:0 0 {uid} 0 1\n"
    ends = ("127.0.0.1", 0xC001), ("127.0.0.1", 0xC002)
    (tmp_path / "net").mkdir()
    for owner, other in ((0, None), (1000, None), (1001, 1001)):
        (tmp_path / "net" / "tcp").write_text(table.format(uid=owner))
        assert other_user(*ends, user=1000, query=unknown, proc=tmp_path) == other
        assert other_user(*ends, user=1000, query=lambda *_, uid=owner: uid) == other


def test_an_unknown_owner_is_not_another_user(tmp_path: Path) -> None:
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


@pytest.mark.posix("Linux lists open files of a process in /proc")
@pytest.mark.parametrize(
    ("family", "local"),
    [
        ("tcp", "0100007F:1F90"),
        ("tcp", "00000000:1F90"),
        ("tcp6", "00000000000000000000000001000000:1F90"),
        ("tcp6", "00000000000000000000000000000000:1F90"),
    ],
)
def test_the_process_on_a_port_is_named_printably(tmp_path: Path, family: str, local: str) -> None:
    table(tmp_path, family, ("0100007F:1F91", "0A", "1"), (local, "0A", "4711"))
    process(tmp_path, 17, "other", "1")
    process(tmp_path, 4242, "no\x1bde", "4711")
    (tmp_path / "18").mkdir()  # a process that has ended
    assert (
        why_busy(8080, proc=tmp_path) == "is in use by process 4242 (no\N{REPLACEMENT CHARACTER}de)"
    )


def test_a_process_that_is_not_visible_belongs_to_another_user(tmp_path: Path) -> None:
    table(tmp_path, "tcp", ("0100007F:1F90", "0A", "4711"))
    assert why_busy(8080, proc=tmp_path) == "is in use by a program of another user"


def test_the_reason_of_a_busy_port_is_not_guessed(tmp_path: Path) -> None:
    assert why_busy(8080, proc=tmp_path) is None
    table(tmp_path, "tcp", ("0B00000A:1F90", "0A", "1"), ("0100007F:1F90", "05", "0"))
    (tmp_path / "net" / "tcp6").write_bytes(b"\xff\n")
    assert why_busy(8080, proc=tmp_path) is None
    table(tmp_path, "tcp", ("0100007F:1F90", "06", "0"))
    assert "within a minute" in (why_busy(8080, proc=tmp_path) or "")
