"""Read the clipboard by the desktop's own tool, for a login that was told to watch it."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
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
    try:
        done = subprocess.run(  # noqa: S603  # a tool of the table above; no shell
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:_LARGEST].decode("utf-8", "replace")


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
