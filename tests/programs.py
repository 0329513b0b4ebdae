"""Small programs that stand in for a browser, or for what else is started."""

from pathlib import Path

from conftest import VISITOR


def program(directory: Path, name: str, script: str = "exit 0") -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def noting_browser(tabs: Path) -> str:
    """Make a browser that notes each tab that it opens, and in which the visitor signs in."""
    script = f'echo "$1" >> {tabs}\nexec {VISITOR} "$1"'
    return str(program(tabs.parent, "browser", script))
