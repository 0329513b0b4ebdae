"""What kind of place a login runs in, such as an SSH session, and what helps there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soe_auth.desktop.detect import ROOT, ci_job, is_container, is_wsl, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SSH_PORT = "22"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where this process runs, and what helps there.

    `remote_reason` says why a browser here may not be the person's own, or is None. `advice` is
    what helps with that; `ssh` are the arguments that lead `ssh` here, if it is known. In an
    `unattended` place, a CI job, no user is expected to look. Where it `forwards`, a browser of the
    person's own finds its way back by itself.
    """

    remote_reason: str | None
    advice: str = "your browser may be on another machine"
    ssh: str | None = None
    unattended: bool = False
    forwards: bool = False

    def sentence(self, port: int | None) -> str | None:
        """Say what place this is and what helps there, for a login whose redirect comes to `port`.

        None where nothing is to be said.
        """
        if self.remote_reason is None:
            return None
        if self.ssh and port:
            command = f"ssh -L {port}:localhost:{port} {self.ssh}"
            return (
                f"This is {self.remote_reason}: for a browser on your own machine,"
                f" type `{command}` there."
            )
        return f"This is {self.remote_reason}: {self.advice}."

    def why_unattended(self, *, opened: bool, can_paste: bool) -> str | None:
        """Say why no user could answer an automatic login; None if one may.

        `opened` says whether a browser was sent off, `can_paste` whether there is a terminal.
        """
        if opened or can_paste:
            return None
        if self.unattended:
            return f"This is {self.remote_reason}, and no user is here to sign in"
        return "There is neither a browser nor a terminal here to sign in with"


def detect(environ: Mapping[str, str], root: Path | str = ROOT) -> Environment:
    """Recognise what kind of place this is; of several, the one in which most can be done.

    A CI job comes first, as no user is there, then what forwards ports by itself.
    """
    return next(_places(environ, root), Environment(None))


def _places(environ: Mapping[str, str], root: Path | str) -> Iterator[Environment]:
    """Yield every place that this is, the most useful to know first."""
    if job := ci_job(environ):
        advice = "there may be no user to sign in, so give it a token in SOE_AUTH_TOKEN"
        yield Environment(job, advice, unattended=True)
    if environ.get("CODESPACES"):
        yield Environment(
            "a codespace",
            "VS Code on your own machine forwards the port; with VS Code in a browser, paste",
        )
    elif environ.get("REMOTE_CONTAINERS") or environ.get("VSCODE_IPC_HOOK_CLI"):
        kind = "a development container" if environ.get("REMOTE_CONTAINERS") else "a remote window"
        yield Environment(
            f"{kind} of VS Code",
            "it forwards the port, so your own browser finds its way back",
            forwards=True,
        )
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        yield Environment("an SSH session", ssh=_ssh_to_here(environ, root))
    if is_wsl(environ, root):
        yield Environment("WSL", "a browser on Windows finds its way back by itself", forwards=True)
    if is_container(environ, root):
        yield Environment("a container", "a browser outside may not find its way back")


def _ssh_to_here(environ: Mapping[str, str], root: Path | str) -> str:
    """Return the arguments that lead `ssh` to this machine, as far as this end of it knows.

    They are copied into a shell, so whatever is not plain becomes a word to be replaced.
    """
    _, _, host, port = (*environ.get("SSH_CONNECTION", "").split(), *4 * [""])[:4]
    if not re.fullmatch(r"[0-9a-fA-F.:]+", host):
        host, port = read(f"{root}/proc/sys/kernel/hostname").strip(), ""
    plain = re.compile(r"\w[\w.:-]*", re.ASCII)
    host = host if plain.fullmatch(host) or ":" in host else "HOST"
    user = environ.get("USER", "")
    user = user if plain.fullmatch(user) else "USER"
    way = f"-p {port} " if port.isdecimal() and port != _SSH_PORT else ""
    return f"{way}{user}@{host}"
