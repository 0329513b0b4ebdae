"""Differences between Wine and Windows."""

import ctypes
import sys
from typing import Any

UNDER_WINE = sys.platform == "win32" and hasattr(ctypes.windll.ntdll, "wine_get_version")

ERROR_INTERNAL_ERROR = 1359


def retry_process_starts() -> None:
    """Retry if Wine 8 fails to start a process, which happens less than once in 400.

    The error means that the process ended before its own code ran.
    """
    if sys.platform != "win32" or not UNDER_WINE:
        return
    import _winapi

    create = _winapi.CreateProcess

    def create_with_retries(*arguments: Any) -> tuple[int, int, int, int]:
        for _ in range(3):
            try:
                return create(*arguments)
            except OSError as problem:
                if problem.winerror != ERROR_INTERNAL_ERROR:
                    raise
        return create(*arguments)

    _winapi.CreateProcess = create_with_retries
