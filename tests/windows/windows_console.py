"""Consoles of Windows for tests: a terminal to type at, and Ctrl-C for a process without one."""

import ctypes
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from ctypes import wintypes
from types import TracebackType
from typing import Any, Self

# A console of its own without a window, which Ctrl-C can be sent to.
OWN_CONSOLE = 0x08000000  # CREATE_NO_WINDOW

_EXTENDED_STARTUPINFO_PRESENT = 0x00080000
_CREATE_UNICODE_ENVIRONMENT = 0x00000400
_PSEUDOCONSOLE = 0x00020016  # PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE
_SIZE = 400 | 50 << 16  # columns and rows; no address is broken at that width

# Runs a command with the console as its standard streams, whatever ours are.
_ON_THE_CONSOLE = """
import signal, subprocess, sys
for each in (signal.SIGINT, signal.SIGBREAK):
    signal.signal(each, lambda *_: None)
with open("CONIN$", "rb", 0) as keys, open("CONOUT$", "wb", 0) as screen:
    sys.exit(subprocess.call(sys.argv[1:], stdin=keys, stdout=screen, stderr=screen))
"""

_PRESS_CTRL_C = """
import ctypes, sys
kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
kernel32.FreeConsole()
assert kernel32.AttachConsole(int(sys.argv[1])), ctypes.get_last_error()
assert kernel32.SetConsoleCtrlHandler(None, True)
assert kernel32.GenerateConsoleCtrlEvent(0, 0), ctypes.get_last_error()
"""

_CURSOR_RIGHT = re.compile(r"\x1b\[(\d*)C")
_OTHER_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


def press_ctrl_c(process_id: int) -> None:
    """Send CTRL_C_EVENT to the console of a process, which is not to be that of the test."""
    subprocess.run([sys.executable, "-c", _PRESS_CTRL_C, str(process_id)], check=True, timeout=60)


class _StartupInfo(ctypes.Structure):
    """STARTUPINFOEXW: of its fields, those that are set have names here."""

    _fields_ = (
        ("size", wintypes.DWORD),
        ("unused", ctypes.c_byte * 100),
        ("attributes", ctypes.c_void_p),
    )


class _ProcessInformation(ctypes.Structure):
    """PROCESS_INFORMATION."""

    _fields_ = (
        ("process", wintypes.HANDLE),
        ("thread", wintypes.HANDLE),
        ("process_id", wintypes.DWORD),
        ("thread_id", wintypes.DWORD),
    )


class Terminal:
    """A command on a pseudo-console, as a terminal program starts it."""

    def __init__(self, argv: list[str], environ: Mapping[str, str]) -> None:
        self._kernel32 = _kernel32()
        keys_read, keys_write = self._pipe()
        screen_read, screen_write = self._pipe()
        self._console = ctypes.c_void_p()
        result = self._kernel32.CreatePseudoConsole(
            wintypes.DWORD(_SIZE), keys_read, screen_write, 0, ctypes.byref(self._console)
        )
        assert result == 0, f"CreatePseudoConsole gave {result:#x}"
        self._start([sys.executable, "-c", _ON_THE_CONSOLE, *argv], environ)
        self._kernel32.CloseHandle(keys_read)
        self._kernel32.CloseHandle(screen_write)
        self._keys = _descriptor(keys_write)
        self._screen = _descriptor(screen_read)
        self._received = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def text(self) -> str:
        """All that the screen was sent, without what moves the cursor and sets colours."""
        text = self._received.decode("utf-8", "replace")
        text = _CURSOR_RIGHT.sub(lambda found: " " * int(found[1] or 1), text)
        return _OTHER_SEQUENCES.sub("", text)

    def expect(self, words: str, timeout: float = 60) -> str:
        """Wait until the words are on the screen; return all that is there."""
        until = time.monotonic() + timeout
        while words not in self.text:
            assert time.monotonic() < until, self.text
            time.sleep(0.05)
        return self.text

    def type(self, text: str) -> None:
        """Type it; Enter is a carriage return."""
        os.write(self._keys, text.encode())

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end of the command; return its exit code."""
        code = wintypes.DWORD()
        waited = self._kernel32.WaitForSingleObject(self._process, int(timeout * 1000))
        assert waited == 0, self.text
        assert self._kernel32.GetExitCodeProcess(self._process, ctypes.byref(code))
        return code.value

    def close(self) -> None:
        """Close the terminal like its window: Windows asks its processes to end."""
        if self._console.value:
            self._kernel32.ClosePseudoConsole(self._console)
            self._console = ctypes.c_void_p()
            self._reader.join(10)

    def _pipe(self) -> tuple[wintypes.HANDLE, wintypes.HANDLE]:
        read, write = wintypes.HANDLE(), wintypes.HANDLE()
        assert self._kernel32.CreatePipe(ctypes.byref(read), ctypes.byref(write), None, 0)
        return read, write

    def _start(self, argv: list[str], environ: Mapping[str, str]) -> None:
        size = ctypes.c_size_t()
        self._kernel32.InitializeProcThreadAttributeList(None, 1, 0, ctypes.byref(size))
        attributes = ctypes.create_string_buffer(size.value)
        assert self._kernel32.InitializeProcThreadAttributeList(
            attributes, 1, 0, ctypes.byref(size)
        )
        assert self._kernel32.UpdateProcThreadAttribute(
            attributes,
            0,
            ctypes.c_size_t(_PSEUDOCONSOLE),
            self._console,
            ctypes.c_size_t(ctypes.sizeof(self._console)),
            None,
            None,
        )
        startup, started = _StartupInfo(), _ProcessInformation()
        startup.size = ctypes.sizeof(startup)
        startup.attributes = ctypes.addressof(attributes)
        variables = "".join(f"{name}={value}\0" for name, value in environ.items()) + "\0"
        assert self._kernel32.CreateProcessW(
            None,
            ctypes.create_unicode_buffer(subprocess.list2cmdline(argv)),
            None,
            None,
            0,
            _EXTENDED_STARTUPINFO_PRESENT | _CREATE_UNICODE_ENVIRONMENT,
            ctypes.create_unicode_buffer(variables, len(variables)),
            None,
            ctypes.byref(startup),
            ctypes.byref(started),
        ), f"CreateProcess gave {self._kernel32.GetLastError()}"
        self._kernel32.CloseHandle(wintypes.HANDLE(started.thread))
        self._process = wintypes.HANDLE(started.process)
        self.process_id: int = started.process_id

    def _read(self) -> None:
        try:
            while data := os.read(self._screen, 4096):
                self._received += data
        except OSError:
            return  # the console is closed


def _kernel32() -> Any:
    if sys.platform == "win32":
        return ctypes.WinDLL("kernel32", use_last_error=True)
    raise NotImplementedError


def _descriptor(handle: wintypes.HANDLE) -> int:
    if sys.platform == "win32":
        from msvcrt import open_osfhandle

        return open_osfhandle(handle.value or 0, 0)
    raise NotImplementedError
