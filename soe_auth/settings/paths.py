"""Where the config files are."""

from __future__ import annotations

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
    import platformdirs

    if directory := environ.get(CONFIG_DIR_VARIABLE):
        given = PureWindowsPath(directory)
        if platform == "win32" and bool(given.drive) != bool(given.root):  # C:soe, or \\soe
            raise SettingsError(
                f"{CONFIG_DIR_VARIABLE} is {printable(directory)}, which depends on the current"
                " drive or directory.",
                hint="Set it to a whole path, such as C:\\Users\\you\\soe-auth.",
            )
        user = Path(directory).absolute()
    else:
        user = platformdirs.user_config_path("soe-auth", appauthor=False)
    return Paths(user, platformdirs.site_config_path("soe-auth", appauthor=False) / "config.toml")
