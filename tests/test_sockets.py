import socket

import pytest

from soe_auth.errors import LoopbackUnavailable
from soe_auth.sockets import bind


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


def test_no_address_or_port_is_shared() -> None:
    bound = bind(0, "127.0.0.1")
    try:
        for listening in bound.sockets:
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        with pytest.raises(LoopbackUnavailable, match=f"port {bound.port}, Address already in use"):
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


def test_the_address_is_gone_once_closed() -> None:
    bound = bind(0, "localhost")
    bound.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bound.port), timeout=1)
