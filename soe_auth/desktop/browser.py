"""Ask the desktop to show a page."""

from __future__ import annotations

import os
import sys

from soe_auth.desktop.detect import ROOT, ci_job, is_wsl
from soe_auth.desktop.process import find_program, split_command
from soe_auth.settings import VARIABLE_PREFIX

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# What opens a URL on a desktop, best first. Text-mode browsers are not among them: they would take
# over the terminal.
_OPENERS = ("xdg-open", "gio open", "x-www-browser", "firefox", "google-chrome", "chromium")
_OPENERS_OF = {"darwin": ("open",), "win32": ()}
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


def find_browser(
    chosen: str | None,
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    root: Path | str = ROOT,
) -> list[str] | None:
    """Return the command that opens a URL, without the URL, or None where there is none.

    `chosen`, the setting, comes first, then BROWSER, then what Windows has from within WSL, then
    the desktop's own opener; Windows itself has none, see `opens_by_itself`. In a command `%s`
    stands for the URL, which else comes last.
    """
    path = environ.get("PATH", os.defpath)
    has_display = platform in {"darwin", "win32"} or bool(
        environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    )
    candidates = [chosen] if chosen else (environ.get("BROWSER") or "").split(os.pathsep)
    if not chosen:
        if is_wsl(environ, root):
            candidates += _WSL_OPENERS
            path += f"{os.pathsep}{root}/{_WINDOWS_PROGRAMS}"
        # In a CI job there may be a display that no user looks at.
        if has_display and ci_job(environ) is None:
            candidates += _OPENERS_OF.get(platform, _OPENERS)
    # On Windows a command for cmd.exe would read `&` and `%` in a URL, so it has to be a program.
    extensions = ("", ".exe") if platform == "win32" else ("",)
    for candidate in candidates:
        command = _split(candidate, platform)
        found = find_program(command[0], path, extensions) if command else None
        if platform == "win32" and found and not found.lower().endswith(".exe"):
            continue
        if found and _is_fit([found, *command[1:]], has_display=has_display):
            return [found, *command[1:]]
    return None


def launch(
    url: str,
    chosen: str | None,
    environ: Mapping[str, str],
    on_exit: Callable[[int], object] = lambda _code: None,
) -> bool:
    """Start the browser on a http(s) URL and return at once; False where none could be started.

    It gets no terminal and none of our variables. Nothing waits for it but a thread, which calls
    `on_exit` with its exit code, whenever that is.
    """
    if sys.platform == "win32":
        return _launch_on_windows(url, chosen, environ, on_exit)
    pid = start(url, chosen, environ)
    if pid is None:
        return False
    watch(pid, on_exit)
    return True


def opens_by_itself(
    chosen: str | None, environ: Mapping[str, str], *, platform: str = sys.platform
) -> bool:
    """Return whether the system opens a URL without a command, as Windows does.

    Not where the user chose a command, and not in a CI job, in which no user looks.
    """
    return platform == "win32" and not chosen and ci_job(environ) is None


def start(url: str, chosen: str | None, environ: Mapping[str, str]) -> int | None:
    """Start the browser as `launch` does, and return its process, which is to be watched."""
    command = find_browser(chosen, environ)
    return _spawn(_with_url(command, url), _for_browser(environ)) if command else None


def _with_url(command: list[str], url: str) -> list[str]:
    argv = [part.replace("%s", _vetted(url)) for part in command]
    return argv if argv != command else [*argv, _vetted(url)]


def _for_browser(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if not name.startswith(VARIABLE_PREFIX)}


def _launch_on_windows(
    url: str,
    chosen: str | None,
    environ: Mapping[str, str],
    on_exit: Callable[[int], object],
) -> bool:
    if sys.platform != "win32":
        return False
    try:
        if command := find_browser(chosen, environ):
            import subprocess

            process = subprocess.Popen(  # noqa: S603  # what the user chose; no shell
                _with_url(command, url),
                env=_for_browser(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C in our console is not for the browser.
                creationflags=subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP,
            )
            _in_thread(lambda: on_exit(process.wait()))
            return True
        if opens_by_itself(chosen, environ):
            os.startfile(_vetted(url))  # noqa: S606  # a web address and nothing else, see _vetted
            return True
    except OSError:
        return False
    return False


def watch(pid: int, on_exit: Callable[[int], object]) -> None:
    """Have a thread wait for a process that was started, and tell its exit code."""

    def reap() -> None:
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:  # the program that we are in looks after all its children
            return
        on_exit(os.waitstatus_to_exitcode(status))

    _in_thread(reap)


def _in_thread(task: Callable[[], object]) -> None:
    from threading import Thread

    try:
        Thread(target=task, name="soe-auth browser", daemon=True).start()
    except RuntimeError:  # none can be started, and so its exit code is not known
        return


def _vetted(url: str) -> str:
    if url.startswith(("http://", "https://")):
        return url
    raise ValueError("only web addresses are opened in a browser")


def _split(command: str, platform: str) -> list[str]:
    try:
        return split_command(command, platform=platform)
    except ValueError:  # a quote is not closed
        return []


def _is_fit(command: list[str], *, has_display: bool) -> bool:
    """Whether a command, whose program was found, shows a page outside the terminal."""
    # The name it is called by and, through links such as /etc/alternatives, the one it has.
    name = os.path.basename
    called, own = name(command[0]), name(os.path.realpath(command[0]))
    names = set(map(name, command)) if called == "env" else {called, own}
    return not names & _TEXT_BROWSERS and (has_display or own not in _NEED_A_DISPLAY)


def _spawn(argv: list[str], environ: Mapping[str, str]) -> int | None:
    """Start a program in a session of its own, with nothing on its standard streams."""
    if sys.platform == "win32":
        return None
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
