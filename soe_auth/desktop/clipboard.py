"""Read the clipboard by the desktop's own tool."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from select import select
from typing import TYPE_CHECKING

from soe_auth.desktop.process import find_program, without_own_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_WAYLAND_TOOLS = ["wl-paste --no-newline --type text"]
_X11_TOOLS = ["xclip -selection clipboard -out", "xsel --clipboard --output"]
_MACOS_TOOLS = ["pbpaste"]
_LARGEST = 64 * 1024  # bytes; no address is longer
_TIMEOUT = 2.0  # seconds
_UNICODE_TEXT = 13  # CF_UNICODETEXT


def clipboard_reader(
    environ: Mapping[str, str], *, platform: str = sys.platform
) -> Callable[[], str] | None:
    """Return a function that reads the clipboard's text; None without a display or a tool."""
    if platform == "win32":
        return _read_on_windows
    if platform == "darwin":
        tools = _MACOS_TOOLS
    elif environ.get("WAYLAND_DISPLAY"):
        tools = _WAYLAND_TOOLS
    else:
        tools = _X11_TOOLS if environ.get("DISPLAY") else []
    for name, *options in map(str.split, tools):
        if found := find_program(name, environ.get("PATH", os.defpath)):
            return partial(_read_by_tool, [found, *options], without_own_variables(environ))
    return None


def _read_by_tool(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the tool's output; kill the tool at the time limit or the largest size."""
    end = time.monotonic() + _TIMEOUT
    data = b""
    try:
        process = subprocess.Popen(  # noqa: S603  # a tool of the table above; no shell
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return ""
    with process:
        assert process.stdout  # noqa: S101  # it is a pipe
        file = process.stdout.fileno()
        while len(data) < _LARGEST and select([file], [], [], max(0.0, end - time.monotonic()))[0]:
            if not (more := os.read(file, _LARGEST)):
                break
            data += more
        process.kill()
    return data[:_LARGEST].decode("utf-8", "replace")


def _read_on_windows() -> str:
    if sys.platform != "win32":
        return ""
    import ctypes

    user, kernel = ctypes.WinDLL("user32"), ctypes.WinDLL("kernel32")
    for function in (user.GetClipboardData, kernel.GlobalLock):
        function.restype = ctypes.c_void_p
    if not user.OpenClipboard(None):  # another program has it open
        return ""
    try:
        handle = ctypes.c_void_p(user.GetClipboardData(_UNICODE_TEXT))
        text = kernel.GlobalLock(handle) if handle.value else None
        if text is None:
            return ""
        try:
            return ctypes.wstring_at(text)[:_LARGEST]
        finally:
            kernel.GlobalUnlock(handle)
    finally:
        user.CloseClipboard()
