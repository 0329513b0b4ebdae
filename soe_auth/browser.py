"""Ask the desktop to show a page, and say what kind of place this is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ROOT = Path("/")

# What opens a URL on a desktop, best first. Text-mode browsers are not among them: they would take
# over the terminal.
_OPENERS = ("xdg-open", "gio open", "x-www-browser", "firefox", "google-chrome", "chromium")
_TEXT_BROWSERS = frozenset(
    {
        *("browsh", "carbonyl", "edbrowse", "elinks", "links", "links2", "lynx", "netrik"),
        *("retawq", "w3m", "www-browser"),
    }
)
# These choose a browser themselves, and without a display they choose a text-mode one.
_NEED_A_DISPLAY = frozenset({"gio", "sensible-browser", "x-www-browser", "xdg-open"})

# What opens a URL on Windows from within WSL. No shell reads the URL.
_WSL_OPENERS = ("wslview", "rundll32.exe url.dll,FileProtocolHandler")
_WINDOWS_PROGRAMS = "mnt/c/Windows/System32"

_CI_SERVICES = {
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab",
    "JENKINS_URL": "Jenkins",
    "TF_BUILD": "Azure Pipelines",
    "BUILDKITE": "Buildkite",
    "CIRCLECI": "CircleCI",
    "BITBUCKET_BUILD_NUMBER": "Bitbucket",
    "TEAMCITY_VERSION": "TeamCity",
}
# Containers that share the desktop's network and display: nothing is remote about them.
_AT_THE_DESKTOP = frozenset({"flatpak", "snap"})
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")
_CONTAINER_GROUPS = re.compile(r"docker|kubepods|containerd|libpod|lxc")
_SSH_PORT = "22"


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process runs, and what helps there.

    `remote` says why a browser here may not be the person's own, or is None. `advice` is what helps
    with that; `ssh` are the arguments that lead `ssh` here, if it is known. In an `unattended`
    place, a CI job, nobody is expected to look. Where it `forwards`, a browser of the person's own
    finds its way back by itself.
    """

    remote: str | None
    advice: str = "your browser may be on another machine"
    ssh: str | None = None
    unattended: bool = False
    forwards: bool = False

    def sentence(self, port: int | None) -> str | None:
        """Say what place this is and what helps there, for a login whose redirect comes to `port`.

        None where nothing is to be said.
        """
        if self.remote is None:
            return None
        if self.ssh and port:
            command = f"ssh -L {port}:localhost:{port} {self.ssh}"
            return (
                f"This is {self.remote}: for a browser on your own machine, type `{command}` there."
            )
        return f"This is {self.remote}: {self.advice}."

    def why_nobody_answers(self, *, opened: bool, can_paste: bool) -> str | None:
        """Say why a login that nobody typed would wait for nobody; None if somebody may answer.

        `opened` says whether a browser was sent off, `can_paste` whether there is a terminal.
        """
        if opened or can_paste:
            return None
        if self.unattended:
            return f"This is {self.remote}, and nobody is here to sign in"
        return "There is neither a browser nor a terminal here to sign in with"


def recognise(environ: Mapping[str, str], root: Path = _ROOT) -> Place:
    """Recognise what kind of place this is; of several, the one in which most can be done.

    A CI job comes first, as nobody is there, then whatever forwards ports by itself.
    """
    return next(_places(environ, root), Place(None))


def find_browser(
    chosen: str | None,
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    root: Path = _ROOT,
) -> list[str] | None:
    """Return the command that opens a URL, without the URL, or None where there is none.

    `chosen`, the setting, comes first, then BROWSER, then what Windows has from within WSL, then
    the desktop's own opener. In a command `%s` stands for the URL, which else comes last.
    """
    path = environ.get("PATH", os.defpath)
    has_display = platform in {"darwin", "win32"} or bool(
        environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    )
    candidates = [chosen] if chosen else (environ.get("BROWSER") or "").split(os.pathsep)
    if not chosen:
        if _is_wsl(environ, root):
            candidates += _WSL_OPENERS
            path += f"{os.pathsep}{root / _WINDOWS_PROGRAMS}"
        # In a CI job there may be a display, and nobody looks at it.
        if has_display and _ci_job(environ) is None:
            candidates += ["open"] if platform == "darwin" else _OPENERS
    for candidate in candidates:
        command = _split(candidate)
        found = shutil.which(command[0], path=path) if command else None
        if found and _is_fit([found, *command[1:]], has_display=has_display):
            return [found, *command[1:]]
    return None


def launch(
    url: str,
    chosen: str | None,
    environ: Mapping[str, str],
    told_of_end: Callable[[int], object] = lambda _code: None,
) -> bool:
    """Start the browser on a http(s) URL and return at once; False where none could be started.

    It gets no terminal and none of our variables. Nothing waits for it but a thread, which calls
    `told_of_end` with its exit code, whenever that is.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("only web addresses are opened in a browser")
    if sys.platform == "win32":  # pragma: no cover - Windows has its own way, and no posix_spawn
        os.startfile(url)  # noqa: S606  # a vetted web address, see above
        return True
    command = find_browser(chosen, environ)
    if command is None:
        return False
    argv = [part.replace("%s", url) for part in command]
    if argv == command:
        argv.append(url)
    clean = {k: v for k, v in environ.items() if not k.startswith("SOE_AUTH_")}
    pid = _spawn(argv, clean)
    if pid is None:
        return False

    def reap() -> None:
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:  # the program that we are in looks after all its children
            return
        told_of_end(os.waitstatus_to_exitcode(status))

    Thread(target=reap, name="soe-auth browser", daemon=True).start()
    return True


def _places(environ: Mapping[str, str], root: Path) -> Iterator[Place]:
    """Yield every place that this is, the most useful to know first."""
    if job := _ci_job(environ):
        advice = "nobody may be here to sign in, so give it a token in SOE_AUTH_TOKEN"
        yield Place(job, advice, unattended=True)
    if environ.get("CODESPACES"):
        yield Place(
            "a codespace",
            "VS Code on your own machine forwards the port; with VS Code in a browser, paste",
        )
    elif environ.get("REMOTE_CONTAINERS") or environ.get("VSCODE_IPC_HOOK_CLI"):
        kind = "a development container" if environ.get("REMOTE_CONTAINERS") else "a remote window"
        yield Place(
            f"{kind} of VS Code",
            "it forwards the port, so your own browser finds its way back",
            forwards=True,
        )
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        yield Place("an SSH session", ssh=_ssh_to_here(environ, root))
    if _is_wsl(environ, root):
        yield Place("WSL", "a browser on Windows finds its way back by itself", forwards=True)
    if _is_container(environ, root):
        yield Place("a container", "a browser outside may not find its way back")


def _ci_job(environ: Mapping[str, str]) -> str | None:
    for variable, service in _CI_SERVICES.items():
        if environ.get(variable):
            return f"a CI job ({service})"
    return None if environ.get("CI", "").lower() in {"", "0", "false", "no"} else "a CI job"


def _ssh_to_here(environ: Mapping[str, str], root: Path) -> str:
    """Return the arguments that lead `ssh` to this machine, as far as this end of it knows.

    They are copied into a shell, so whatever is not plain becomes a word to be replaced.
    """
    _, _, host, port = (*environ.get("SSH_CONNECTION", "").split(), *4 * [""])[:4]
    if not re.fullmatch(r"[0-9a-fA-F.:]+", host):
        host, port = _read(root / "proc/sys/kernel/hostname").strip(), ""
    plain = re.compile(r"\w[\w.:-]*", re.ASCII)
    host = host if plain.fullmatch(host) or ":" in host else "HOST"
    user = environ.get("USER", "")
    user = user if plain.fullmatch(user) else "USER"
    way = f"-p {port} " if port.isdecimal() and port != _SSH_PORT else ""
    return f"{way}{user}@{host}"


def _is_wsl(environ: Mapping[str, str], root: Path) -> bool:
    if environ.get("WSL_DISTRO_NAME"):
        return True
    # A container on Docker Desktop runs on the same kernel, and is no part of Windows.
    return "microsoft" in _read(root / "proc/version").lower() and not _is_container(environ, root)


def _is_container(environ: Mapping[str, str], root: Path) -> bool:
    if (root / "run/.toolboxenv").exists() or environ.get("container") in _AT_THE_DESKTOP:
        return False
    return (
        any((root / mark).exists() for mark in _CONTAINER_FILES)
        or bool(environ.get("container") or environ.get("KUBERNETES_SERVICE_HOST"))
        or _CONTAINER_GROUPS.search(_read(root / "proc/1/cgroup")) is not None
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote is not closed
        return []


def _is_fit(command: list[str], *, has_display: bool) -> bool:
    """Whether a command, whose program was found, shows a page outside the terminal."""
    # The name it is called by and, through links such as /etc/alternatives, the one it has.
    called, own = Path(command[0]).name, Path(command[0]).resolve().name
    names = {Path(word).name for word in command} if called == "env" else {called, own}
    return not names & _TEXT_BROWSERS and (has_display or own not in _NEED_A_DISPLAY)


def _spawn(argv: list[str], environ: Mapping[str, str]) -> int | None:
    """Start a program in a session of its own, with nothing on its standard streams."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            argv[0],
            argv,
            environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, nothing, stream) for stream in (0, 1, 2)],
            setsid=True,
        )
    except OSError:
        return None
    finally:
        os.close(nothing)
