"""Small programs in place of a browser and other commands."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NOTING = """
import sys
with open({tabs!r}, "a") as tabs:
    print(sys.argv[1], file=tabs)
from soe_auth.sandbox.scripted_browser import run_scripted_browser
sys.exit(run_scripted_browser([*{options!r}, sys.argv[1]]))
"""


def program(directory: Path, name: str, script: str = "exit 0") -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def command_line(argv: Sequence[str]) -> str:
    """Return a command as one line, quoted for this system."""
    return subprocess.list2cmdline(argv) if sys.platform == "win32" else shlex.join(argv)


def noting_browser(tabs: Path, *options: str) -> str:
    """Return a command for the scripted browser that also records each tab."""
    script = tabs.with_name("browser.py")
    script.write_text(NOTING.format(tabs=str(tabs), options=options))
    return command_line([sys.executable, str(script)])
