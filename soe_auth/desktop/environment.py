"""Detect where a login runs, such as an SSH session, and how a browser can reach it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.desktop.detect import ROOT, ci_job, is_container, is_wsl, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SSH_PORT = "22"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where this process runs.

    `remote_reason` says why the user's browser may not be on this machine; None if it is. `advice`
    says what to do then; `ssh` has the arguments with which `ssh` reaches this machine, if known.
    `unattended` is True in a CI job, which no user watches; `forwards` is True where the user's own
    browser reaches this machine's ports.
    """

    remote_reason: str | None
    advice: str = "your browser may be on another machine"
    ssh: str | None = None
    unattended: bool = False
    forwards: bool = False

    def describe(self, port: int | None) -> str | None:
        """Describe the environment and what to do, for a redirect to `port`; None if not remote."""
        if self.remote_reason is None:
            return None
        advice = self.advice
        if self.ssh and port:
            command = f"ssh -L {port}:localhost:{port} {self.ssh}"
            advice = f"for a browser on your own machine, type `{command}` there"
        return f"This is {self.remote_reason}: {advice}."


def detect(environ: Mapping[str, str], root: Path | str = ROOT) -> Environment:
    """Return where this process runs: the most specific environment of those that apply."""
    return next(_environments(environ, root), Environment(None))


def _environments(environ: Mapping[str, str], root: Path | str) -> Iterator[Environment]:
    """Yield all that apply: a CI job first, then environments that forward ports."""
    if job := ci_job(environ):
        advice = "there may be no user to sign in, so give it a token in SOE_AUTH_TOKEN"
        yield Environment(job, advice, unattended=True)
    if environ.get("CODESPACES"):
        yield Environment(
            "a codespace",
            "VS Code on your own machine forwards the port; with VS Code in a"
            " browser, paste the address of the last page",
        )
    elif environ.get("REMOTE_CONTAINERS") or environ.get("VSCODE_IPC_HOOK_CLI"):
        kind = "development container" if environ.get("REMOTE_CONTAINERS") else "remote window"
        advice = "it forwards the port, so the redirect reaches this login"
        yield Environment(f"a {kind} of VS Code", advice, forwards=True)
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        yield Environment("an SSH session", ssh=_ssh_arguments(environ, root))
    if is_wsl(environ, root):
        yield Environment(
            "WSL", "the redirect of a browser on Windows reaches this login", forwards=True
        )
    if is_container(environ, root):
        yield Environment(
            "a container", "the redirect of a browser outside may not reach this login"
        )


def _ssh_arguments(environ: Mapping[str, str], root: Path | str) -> str:
    """Return the arguments with which `ssh` reaches this machine, as far as they are known.

    The user copies them into a shell, so an unsafe word is replaced by USER or HOST.
    """
    _, _, host, port = (*environ.get("SSH_CONNECTION", "").split(), *4 * [""])[:4]
    if not re.fullmatch(r"[0-9a-fA-F.:]+", host):
        host, port = read_text(f"{root}/proc/sys/kernel/hostname").strip(), ""
    safe = re.compile(r"\w[\w.:-]*", re.ASCII)
    host = host if safe.fullmatch(host) or ":" in host else "HOST"
    user = environ.get("USER", "")
    user = user if safe.fullmatch(user) else "USER"
    option = f"-p {port} " if port.isdecimal() and port != _SSH_PORT else ""
    return f"{option}{user}@{host}"
