"""Where settings may be: a directory's project file; on Linux, the config directories."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping

PYPROJECT = "pyproject.toml"
_NAMES = (".soe-auth.toml", PYPROJECT)
_MARK = ".git"  # a directory, or a file in work trees and submodules


def project_places(directory: str) -> list[str]:
    """Return the paths at which its project file may be, the strongest first.

    They go up to the root of its repository; outside of one, only the directory itself counts.
    """
    upward = [directory]
    while (parent := os.path.dirname(upward[-1])) != upward[-1]:
        upward.append(parent)
    roots = (n for n, each in enumerate(upward) if os.path.lexists(os.path.join(each, _MARK)))
    count = next(roots, 0) + 1
    return [os.path.join(each, name) for each in upward[:count] for name in _NAMES]


def xdg_directories(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the config directories of the user and of the system, as Linux has them.

    A variable that does not hold an absolute path counts as unset:
    https://specifications.freedesktop.org/basedir-spec/0.8
    """
    named = environ.get("XDG_CONFIG_HOME", "")
    home = environ.get("HOME", "")
    home = home if home.startswith("/") else os.path.expanduser("~")
    user = named if named.startswith("/") else f"{home}/.config"
    of_system = environ.get("XDG_CONFIG_DIRS", "").split(":")
    system = next((each for each in of_system if each.startswith("/")), "/etc/xdg")
    return f"{user}/soe-auth", f"{system}/soe-auth"
