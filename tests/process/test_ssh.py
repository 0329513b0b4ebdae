"""A login on another machine: a real sshd, a real `ssh -L`, and a browser on this machine.

The other machine is a network namespace with its own loopback. Its sshd runs as this user, with a
host key of the test, and serves each connection to a port of this machine.
"""

import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest
from callback_server import three_free_ports
from conftest import BROWSER, Command

from soe_auth.sandbox import Sandbox

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = [
    pytest.mark.posix("runs a real sshd"),
    pytest.mark.process,
    pytest.mark.as_root,
    pytest.mark.needs("ssh"),
    pytest.mark.skipif(SSHD is None, reason="no sshd here, and tools/setup had better add none"),
]

USER = pwd.getpwuid(os.geteuid()).pw_name
AS_ROOT = os.geteuid() == 0

# Bring the loopback up, then start an sshd for each connection. An ordinary user's namespace has no
# group tty, to which sshd would give the terminal: hide all groups.
OTHER_MACHINE = """
import ctypes, fcntl, os, socket, struct, subprocess, sys
MS_BIND = 4096
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(os.devnull.encode(), b"/etc/group", None, MS_BIND, None):
    raise OSError(ctypes.get_errno(), "mount")
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x49))  # SIOCSIFFLAGS: up, running
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    subprocess.Popen(sys.argv[2:], stdin=connection, stdout=connection)
    connection.close()
"""

SSHD_CONFIG = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""

SSH_CONFIG = """
IdentityFile {folder}/key
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
StrictHostKeyChecking accept-new
ExitOnForwardFailure yes
LogLevel ERROR
"""


@dataclass(frozen=True)
class Machine:
    """The other machine: the local port of its sshd, and the ssh configuration."""

    port: int
    config: Path

    def ssh(self, arguments: str, command: str) -> "pexpect.spawn[str]":
        child = pexpect.spawn(
            "ssh",
            ["-F", str(self.config), "-t", *shlex.split(arguments), command],
            encoding="utf-8",
            timeout=20,
        )
        child.setwinsize(40, 400)  # so that no address is wrapped
        return child


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    assert SSHD
    for name in ("host_key", "key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    for name, text in (("sshd_config", SSHD_CONFIG), ("ssh_config", SSH_CONFIG)):
        (tmp_path / name).write_text(text.format(folder=tmp_path))
    if AS_ROOT:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists, and only its service makes it
    mapped = [] if AS_ROOT else ["--map-current-user", "--keep-caps"]
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            [
                *("unshare", "--net", "--mount", *mapped, sys.executable, "-c", OTHER_MACHINE),
                *(str(listener.fileno()), SSHD, "-i", "-f", str(tmp_path / "sshd_config")),
                *("-E", str(tmp_path / "sshd.log")),
            ],
            pass_fds=[listener.fileno()],
        ) as there,
    ):
        yield Machine(listener.getsockname()[1], tmp_path / "ssh_config")
        there.terminate()


def login_there(soe_auth: Command, *options: str) -> str:
    """Return the command to type there; it reaches the site through the SSH connection."""
    variables = [f"{name}={value}" for name, value in soe_auth.environ.items()]
    return shlex.join(["env", *variables, soe_auth.path, "login", *options])


def test_the_printed_ssh_command_brings_the_callback_back(
    machine: Machine, soe_auth: Command, site: Sandbox
) -> None:
    login = login_there(soe_auth, "--site", site.url, "--client-id", "110")
    # The other machine has to reach the site, too.
    reach = f"-R {site.port}:localhost:{site.port} -p {machine.port} {USER}@127.0.0.1"
    with machine.ssh(reach, login) as session:
        session.expect(
            r"This is an SSH session: for a browser on your own machine, type"
            r" `ssh (-L (\d+):localhost:\d+ -p \d+ \S+@127\.0\.0\.1)` there"
        )
        line, port = session.match[1], session.match[2]
        assert line == f"-L {port}:localhost:{port} -p {machine.port} {USER}@127.0.0.1"
        session.expect(rf"(http://localhost:{port}/\S+)\r\n")
        address = session.match[1]
        with pytest.raises(ConnectionRefusedError):  # nothing forwards the port yet
            socket.create_connection(("127.0.0.1", int(port)), timeout=5)
        with machine.ssh(line, "echo ready; read wait") as forwarding:
            forwarding.expect("ready")
            subprocess.run([*BROWSER.split(), address], check=True, timeout=30)
            session.expect(re.escape("Signed in to localhost"))
            session.expect(pexpect.EOF)
    assert soe_auth("token").returncode == 0


def test_a_port_forwarded_earlier_brings_the_callback_back(
    machine: Machine, soe_auth: Command, site: Sandbox
) -> None:
    port = three_free_ports().first
    login = login_there(
        soe_auth,
        *("--site", site.url, "--client-id", "110", "--port", str(port), "--no-browser"),
    )
    way = f"-L {port}:localhost:{port} -R {site.port}:localhost:{site.port}"
    with machine.ssh(f"{way} -p {machine.port} {USER}@127.0.0.1", login) as session:
        session.expect(rf"(http://localhost:{port}/\S+)\r\n")
        subprocess.run([*BROWSER.split(), session.match[1]], check=True, timeout=30)
        session.expect(re.escape("Signed in to localhost"))
        session.expect(pexpect.EOF)
    assert soe_auth("token").returncode == 0
