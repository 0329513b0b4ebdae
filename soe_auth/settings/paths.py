"""Where the config files are."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.model.text import printable
from soe_auth.settings import CONFIG_DIR_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENS, LOCKS = "tokens", "locks"  # directories in the user's config directory


@dataclass(frozen=True, slots=True)
class Paths:
    """The user's config directory, and the system's config.toml."""

    directory: Path
    system_config: Path

    @property
    def config(self) -> Path:
        """The user's config.toml."""
        return self.directory / "config.toml"

    @property
    def files(self) -> list[Path]:
        """Both config.toml, the stronger one first."""
        return [self.config, self.system_config]


def find_paths(environ: Mapping[str, str], *, platform: str = sys.platform) -> Paths:
    """Find the config directories: SOE_AUTH_CONFIG_DIR, else what the platform says.

    Raises SettingsError for one that Windows takes for another directory with each current drive.
    """
    if platform == "linux":  # where it is simple: platformdirs takes 4 ms to load
        of_user, of_system = map(Path, xdg_directories(environ))
    else:
        import platformdirs

        of_user = platformdirs.user_config_path("soe-auth", appauthor=False)
        of_system = platformdirs.site_config_path("soe-auth", appauthor=False)
    if directory := environ.get(CONFIG_DIR_VARIABLE):
        given = PureWindowsPath(directory)
        if platform == "win32" and bool(given.drive) != bool(given.root):  # C:soe, or \\soe
            raise SettingsError(
                f"{CONFIG_DIR_VARIABLE} is {printable(directory)}, which depends on the current"
                " drive or directory.",
                hint="Set it to a whole path, such as C:\\Users\\you\\soe-auth.",
            )
        of_user = Path(directory).absolute()
    return Paths(of_user, of_system / "config.toml")


def xdg_directories(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the config directories of the user and of the system, as Linux has them.

    A variable that does not hold an absolute path counts as unset:
    https://specifications.freedesktop.org/basedir-spec/0.8
    """
    named = environ.get("XDG_CONFIG_HOME", "")
    home = environ.get("HOME", "")
    home = home if home.startswith("/") else os.path.expanduser("~")  # noqa: PTH111  # which raises where there is no home
    user = named if named.startswith("/") else f"{home}/.config"
    of_system = environ.get("XDG_CONFIG_DIRS", "").split(":")
    system = next((each for each in of_system if each.startswith("/")), "/etc/xdg")
    return f"{user}/soe-auth", f"{system}/soe-auth"
