"""What can be seen of where this process runs: a CI job, WSL, a container."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The directory that the system's files are in. Windows has none of those that are looked for here,
# and any user could make a C:\proc to have it taken for WSL, so there no path leads to a file.
ROOT = "<none>" if sys.platform == "win32" else ""

_CI_SERVICES = {
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab",
    "JENKINS_URL": "Jenkins",
    "TF_BUILD": "Azure Pipelines",
    "BUILDKITE": "Buildkite",
    "CIRCLECI": "CircleCI",
    "BITBUCKET_BUILD_NUMBER": "Bitbucket",
    "TEAMCITY_VERSION": "TeamCity",
}
# Containers that share the desktop's network and display: nothing is remote about them.
_AT_THE_DESKTOP = frozenset({"flatpak", "snap"})
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")
_CONTAINER_GROUPS = ("docker", "kubepods", "containerd", "libpod", "lxc")


def ci_job(environ: Mapping[str, str]) -> str | None:
    """Return what CI job this is, in words, or None."""
    for variable, service in _CI_SERVICES.items():
        if environ.get(variable):
            return f"a CI job ({service})"
    return None if environ.get("CI", "").lower() in {"", "0", "false", "no"} else "a CI job"


def is_wsl(environ: Mapping[str, str], root: Path | str) -> bool:
    """Whether this is Linux on Windows; `root` is the directory that the system's files are in."""
    if environ.get("WSL_DISTRO_NAME"):
        return True
    # A container on Docker Desktop runs on the same kernel, and is no part of Windows.
    kernel = read(f"{root}/proc/version").lower()
    return "microsoft" in kernel and not is_container(environ, root)


def is_container(environ: Mapping[str, str], root: Path | str) -> bool:
    """Whether this is a container apart from the desktop."""
    if os.path.exists(f"{root}/run/.toolboxenv") or environ.get("container") in _AT_THE_DESKTOP:
        return False
    if any(os.path.exists(f"{root}/{mark}") for mark in _CONTAINER_FILES):
        return True
    if environ.get("container") or environ.get("KUBERNETES_SERVICE_HOST"):
        return True
    groups = read(f"{root}/proc/1/cgroup")
    return any(name in groups for name in _CONTAINER_GROUPS)


def read(path: str) -> str:
    """Return the text of a file, which is nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
