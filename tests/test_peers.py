"""Whose program is at the other end, on real sockets of real users where the test may be them."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from soe_auth.peers import is_stranger

NOBODY = 65534


@pytest.fixture(params=["127.0.0.1", "::1"])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((request.param, 0))
        listening.listen()
        yield listening


def test_a_program_of_the_same_user_is_no_stranger(listening: socket.socket) -> None:
    with socket.create_connection(listening.getsockname()[:2]):
        accepted, peer = listening.accept()
        with accepted:
            assert not is_stranger(peer[:2], accepted.getsockname()[:2])


@pytest.mark.process
def test_a_program_of_another_user_is_a_stranger(listening: socket.socket) -> None:
    root = os.geteuid() == 0
    host, port = listening.getsockname()[:2]
    # The system's own Python: another user may not be able to enter where the tests' one lies.
    script = f"import socket; socket.create_connection(({host!r}, {port})).recv(1)"
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", "-S", "-c", script], user=NOBODY if root else None
    ):
        accepted, peer = listening.accept()
        with accepted:
            own = accepted.getsockname()[:2]
            # Only root can be two users; anybody else is told to look as somebody else would.
            assert is_stranger(peer[:2], own, user=None if root else NOBODY)


def test_root_is_no_stranger_to_anybody(tmp_path: Path) -> None:
    table = "  0: 0100007F:C001 0100007F:C002 01 0:0 0:0 0 {uid} 0 1\n"
    ends = ("127.0.0.1", 0xC001), ("127.0.0.1", 0xC002)
    for owner, stranger in ((0, False), (1000, False), (1001, True)):
        (tmp_path / "tcp").write_text(table.format(uid=owner))
        assert is_stranger(*ends, user=1000, proc_net=tmp_path) is stranger


def test_where_nobody_can_tell_nobody_is_a_stranger(tmp_path: Path) -> None:
    ends = ("127.0.0.1", 1), ("127.0.0.1", 2)
    assert not is_stranger(*ends, user=1000, proc_net=tmp_path)
    assert not is_stranger(("", 0), ("", 0), user=1000)
    (tmp_path / "tcp").write_text("  sl  local_address rem_address\n")
    assert not is_stranger(*ends, user=1000, proc_net=tmp_path)
    (tmp_path / "tcp").write_text("  0: 0100007F:0001 0100007F:0002 01 0:0 0:0 0 ? 0 1\n")
    assert not is_stranger(*ends, user=1000, proc_net=tmp_path)
