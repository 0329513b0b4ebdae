"""Ask the desktop to show a page, and say what kind of place this is."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# What opens a URL on a desktop, best first. Text-mode browsers are not among them: they would take
# over the terminal.
_OPENERS = ("xdg-open", "gio open", "x-www-browser", "firefox", "google-chrome", "chromium")
_TEXT_BROWSERS = frozenset({"elinks", "links", "links2", "lynx", "w3m", "www-browser"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process runs; `remote` says why a browser here may not be the person's own."""

    remote: str | None


def recognise(environ: Mapping[str, str], root: Path = Path("/")) -> Place:
    """Recognise SSH sessions and containers."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return Place("an SSH session")
    if environ.get("CODESPACES") or environ.get("REMOTE_CONTAINERS"):
        return Place("a development container")
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        return Place("a container")
    return Place(None)


def find_browser(
    chosen: str | None, environ: Mapping[str, str], *, platform: str = sys.platform
) -> list[str] | None:
    """Return the command that opens a URL, without the URL, or None where there is none.

    `chosen`, the setting, comes first, then BROWSER, then the desktop's own opener. In a command
    `%s` stands for the URL, which else comes last.
    """
    candidates = [chosen] if chosen else (environ.get("BROWSER") or "").split(os.pathsep)
    if not chosen:
        if platform == "darwin":
            candidates.append("open")
        elif environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
            candidates.extend(_OPENERS)
    for candidate in candidates:
        command = shlex.split(candidate)
        if command and command[0] not in _TEXT_BROWSERS:
            found = shutil.which(command[0], path=environ.get("PATH"))
            if found:
                return [found, *command[1:]]
    return None


def launch(url: str, chosen: str | None, environ: Mapping[str, str]) -> bool:
    """Start the browser on a http(s) URL and return at once; False where none could be started.

    It gets no terminal and none of our variables, and is never waited for.
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
    return _spawn(argv, clean)


def _spawn(argv: list[str], environ: Mapping[str, str]) -> bool:
    """Start a program in a session of its own, with nothing on its standard streams."""
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.posix_spawn(
            argv[0],
            argv,
            environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, nothing, stream) for stream in (0, 1, 2)],
            setsid=True,
        )
    except OSError:
        return False
    finally:
        os.close(nothing)
    return True
