"""Where the config files are."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.model.text import printable
from soe_auth.settings import CONFIG_DIR_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENS, LOCKS = "tokens", "locks"  # directories in the user's config directory
_NO_FILE = Path(os.devnull, "config.toml")  # it cannot be there


@dataclass(frozen=True, slots=True)
class Paths:
    """The user's config directory, None where there is no home, and the system's config.toml."""

    user_directory: Path | None
    system_config: Path

    @property
    def directory(self) -> Path:
        """The user's config directory. Raises SettingsError where there is none."""
        if self.user_directory is None:
            raise SettingsError(
                "Your home directory is not known, and so no place for settings and tokens.",
                hint=f"Set HOME, or {CONFIG_DIR_VARIABLE} to a directory of your own.",
            )
        return self.user_directory

    @property
    def config(self) -> Path:
        """The user's config.toml. Raises SettingsError as `directory`."""
        return self.directory / "config.toml"

    @property
    def files(self) -> list[Path]:
        """Both config.toml, the stronger one first."""
        return [self.config if self.user_directory else _NO_FILE, self.system_config]


def find_paths(environ: Mapping[str, str], *, platform: str = sys.platform) -> Paths:
    """Find the config directories: SOE_AUTH_CONFIG_DIR, else what the platform says.

    Raises SettingsError for one that is another with each current directory, or drive of Windows.
    """
    import platformdirs

    system = platformdirs.site_config_path("soe-auth", appauthor=False) / "config.toml"
    if not (directory := environ.get(CONFIG_DIR_VARIABLE)):
        try:
            user = platformdirs.user_config_path("soe-auth", appauthor=False)
            if not user.is_absolute():  # of older versions, by an XDG_CONFIG_HOME that is ignored
                user = Path.home() / ".config" / "soe-auth"
        except RuntimeError:  # neither HOME nor the list of users says where home is
            return Paths(None, system)
        return Paths(user, system)
    # What comes from a .env file, Docker or systemd has passed no shell.
    path = os.path.expanduser(directory)  # noqa: PTH111  # pathlib raises where there is no home
    pure = PureWindowsPath if platform == "win32" else PurePosixPath
    if not pure(path).is_absolute():
        example = r"C:\Users\you\soe-auth" if platform == "win32" else "~/soe-auth"
        raise SettingsError(
            f"{CONFIG_DIR_VARIABLE} is {printable(directory)}, which depends on the current"
            " directory.",
            hint=f"Set it to a whole path, such as {example}.",
        )
    return Paths(Path(path), system)
