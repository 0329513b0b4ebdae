"""Find and start the user's browser."""

from __future__ import annotations

import os
import sys

from soe_auth.desktop.detect import ROOT, ci_job, is_wsl
from soe_auth.desktop.process import find_program, split_command, without_own_variables

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Commands that open a URL on a desktop, best first. No text-mode browser, which would take over
# the terminal.
_OPENERS = ("xdg-open", "gio open", "x-www-browser", "firefox", "google-chrome", "chromium")
_OPENERS_OF = {"darwin": ("open",), "win32": ()}
_TEXT_BROWSERS = frozenset(
    {
        *("browsh", "carbonyl", "edbrowse", "elinks", "links", "links2", "lynx", "netrik"),
        *("retawq", "w3m", "www-browser"),
    }
)
# These choose a browser themselves: without a display, a text-mode one.
_NEED_A_DISPLAY = frozenset({"gio", "sensible-browser", "x-www-browser", "xdg-open"})

# Commands that open a URL on Windows from WSL, without a shell.
_WSL_OPENERS = ("wslview", "rundll32.exe url.dll,FileProtocolHandler")
_WINDOWS_PROGRAMS = "mnt/c/Windows/System32"


def find_browser(
    chosen: str | None,
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    root: Path | str = ROOT,
) -> list[str] | None:
    """Return the command that opens a URL, without the URL, or None.

    If `chosen` (the setting) is set, try it alone; else BROWSER, the commands of Windows under WSL
    and those of the desktop. Windows needs none, see `has_default_browser`. The URL replaces `%s`
    in the command, or comes last.
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
        # A CI job may have a display that no user sees.
        if has_display and ci_job(environ) is None:
            candidates += _OPENERS_OF.get(platform, _OPENERS)
    for candidate in candidates:
        try:
            command = split_command(candidate, platform=platform)
        except ValueError:  # a quote is not closed
            continue
        # On Windows only a program: cmd.exe would interpret `&` and `%` in a URL.
        extensions = ("", ".exe") if platform == "win32" else ("",)
        found = find_program(command[0], path, extensions) if command else None
        if platform == "win32" and found and not found.lower().endswith(".exe"):
            continue
        if found and _opens_window([found, *command[1:]], has_display=has_display):
            return [found, *command[1:]]
    return None


def has_default_browser(
    chosen: str | None, environ: Mapping[str, str], *, platform: str = sys.platform
) -> bool:
    """Return whether the system opens a URL without a command, as Windows does.

    False if the user has chosen a command, and in a CI job.
    """
    return platform == "win32" and not chosen and ci_job(environ) is None


def launch(
    url: str,
    chosen: str | None,
    environ: Mapping[str, str],
    on_exit: Callable[[int], object] = lambda _code: None,
) -> bool:
    """Start the browser on a http(s) URL without waiting; return whether it was started.

    It gets no terminal and none of our variables. A thread calls `on_exit` with its exit code.
    """
    if sys.platform == "win32":
        try:
            if command := find_browser(chosen, environ):
                import subprocess

                process = subprocess.Popen(  # noqa: S603  # the user's own command; no shell
                    _with_url(command, url),
                    env=without_own_variables(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    # Ctrl-C in our console must not end the browser.
                    creationflags=subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP,
                )
                _start_thread(lambda: on_exit(process.wait()))
            elif has_default_browser(chosen, environ):
                os.startfile(_require_http(url))  # noqa: S606  # only a web address
            else:
                return False
        except OSError:
            return False
        return True
    pid = start_browser(url, chosen, environ)
    if pid is None:
        return False
    watch_process(pid, on_exit)
    return True


def start_browser(url: str, chosen: str | None, environ: Mapping[str, str]) -> int | None:
    """Start the browser as `launch` does; return its process ID for `watch_process`, or None."""
    command = find_browser(chosen, environ)
    if sys.platform == "win32" or command is None:
        return None
    argv = _with_url(command, url)
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            argv[0],
            argv,
            without_own_variables(environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, null, stream) for stream in (0, 1, 2)],
            setsid=True,
        )
    except OSError:
        return None
    finally:
        os.close(null)


def watch_process(pid: int, on_exit: Callable[[int], object]) -> None:
    """Wait for a child process in a thread, and call `on_exit` with its exit code."""

    def reap() -> None:
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:  # the calling program reaps all its children
            return
        on_exit(os.waitstatus_to_exitcode(status))

    _start_thread(reap)


def _with_url(command: list[str], url: str) -> list[str]:
    argv = [part.replace("%s", _require_http(url)) for part in command]
    return argv if argv != command else [*argv, url]


def _require_http(url: str) -> str:
    if url.startswith(("http://", "https://")):
        return url
    raise ValueError("only web addresses are opened in a browser")


def _start_thread(task: Callable[[], object]) -> None:
    from threading import Thread

    try:
        Thread(target=task, name="soe-auth browser", daemon=True).start()
    except RuntimeError:  # no more threads: the exit code stays unknown
        return


def _opens_window(command: list[str], *, has_display: bool) -> bool:
    """Return whether a command shows a page outside the terminal; its program has been found."""
    # Its name, and the name after links such as those of /etc/alternatives.
    called, own = (os.path.basename(path) for path in (command[0], os.path.realpath(command[0])))
    names = set(map(os.path.basename, command)) if called == "env" else {called, own}
    return not names & _TEXT_BROWSERS and (has_display or own not in _NEED_A_DISPLAY)
