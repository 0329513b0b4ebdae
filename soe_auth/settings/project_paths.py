"""Where the project file of a directory may be."""

from __future__ import annotations

import os

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
