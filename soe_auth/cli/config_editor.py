"""Your config.toml in your own editor, and a check of what you wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.actions.registration import preface
from soe_auth.desktop.process import run_child, split_command
from soe_auth.errors import SettingsError
from soe_auth.model.text import printable
from soe_auth.settings.config_files import read_config_files
from soe_auth.settings.config_writer import create_config
from soe_auth.settings.settings import find_paths

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from soe_auth.cli.console import Console


def edit_config(console: Console) -> None:
    """Open config.toml in the person's editor, and check it afterwards. Raises SettingsError."""
    config = find_paths(console.environ).config
    command = _editor(console.environ, config)
    if not config.exists():
        create_config(config, preface())
    try:
        code = run_child([*command, str(config)], console.environ)
    except OSError as problem:
        raise SettingsError(
            f"{printable(command[0])} could not be started: {problem.strerror}.",
            hint="Set VISUAL or EDITOR to one that is there; the first that is set counts.",
        ) from None
    try:
        read_config_files(console.environ).check_own()
    except SettingsError as problem:
        raise SettingsError(
            str(problem),
            hint="What you wrote is kept, but is no good yet: `soe-auth config edit`."
            + (f" {problem.hint}" if problem.hint else ""),
        ) from None
    if code:
        raise SettingsError(
            f"The editor ended with exit code {code}.",
            hint="See with `soe-auth config list` whether it has kept what you wrote.",
        )
    console.say(f"All is well in {config}")


def _editor(environ: Mapping[str, str], config: Path) -> list[str]:
    """Return the command that a person has named as theirs. Raises SettingsError."""
    editor = environ.get("VISUAL") or environ.get("EDITOR") or ""
    try:
        command = split_command(editor)
    except ValueError:
        command = []
    if not command:
        raise SettingsError(
            "No editor is known, or its command cannot be read.",
            hint=f"Set VISUAL or EDITOR to one, or edit {config} by other means.",
        )
    return command
