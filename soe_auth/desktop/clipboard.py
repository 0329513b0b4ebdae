"""Read the clipboard by the desktop's own tool, for a login that was told to watch it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from select import select
from typing import TYPE_CHECKING

from soe_auth.desktop.process import find_program
from soe_auth.settings import VARIABLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ON_WAYLAND = ("wl-paste --no-newline --type text",)
_ON_X11 = ("xclip -selection clipboard -out", "xsel --clipboard --output")
_ON_MACOS = ("pbpaste",)
_LARGEST = 64 * 1024  # bytes; no address is larger
_WITHIN = 2.0  # seconds
_UNICODE_TEXT = 13  # CF_UNICODETEXT


def clipboard_reader(
    environ: Mapping[str, str], *, platform: str = sys.platform
) -> Callable[[], str] | None:
    """Return what reads the text of the clipboard, or None without a display or a tool for it."""
    if platform == "win32":
        return _read_on_windows
    tools: Sequence[str] = _ON_MACOS if platform == "darwin" else ()
    if platform != "darwin" and environ.get("WAYLAND_DISPLAY"):
        tools = _ON_WAYLAND
    elif platform != "darwin" and environ.get("DISPLAY"):
        tools = _ON_X11
    for name, *options in map(str.split, tools):
        if found := find_program(name, environ.get("PATH", os.defpath)):
            own = {
                key: text for key, text in environ.items() if not key.startswith(VARIABLE_PREFIX)
            }
            return partial(_read_by_tool, [found, *options], own)
    return None


def _read_by_tool(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what the tool prints, up to a length and within a time; then it is ended."""
    until = time.monotonic() + _WITHIN
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
    with process, process.stdout or nullcontext() as out:
        while out and len(data) < _LARGEST:
            left = until - time.monotonic()
            if left <= 0 or not select([out], [], [], left)[0]:
                break
            if not (more := os.read(out.fileno(), _LARGEST)):
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
    if not user.OpenClipboard(None):  # another program has it at this moment
        return ""
    try:
        found = user.GetClipboardData(_UNICODE_TEXT)
        text = kernel.GlobalLock(ctypes.c_void_p(found)) if found else None
        if text is None:
            return ""
        try:
            return ctypes.wstring_at(text)[:_LARGEST]
        finally:
            kernel.GlobalUnlock(ctypes.c_void_p(found))
    finally:
        user.CloseClipboard()
