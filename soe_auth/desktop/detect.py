"""Detect a CI job, WSL or a container."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing takes time
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The root of the system's files. Windows has none of them, and any user could create C:\proc there.
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
# Containers that share the desktop's network and display.
_LOCAL_CONTAINERS = frozenset({"flatpak", "snap"})
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")
_CONTAINER_GROUPS = ("docker", "kubepods", "containerd", "libpod", "lxc")


def ci_job(environ: Mapping[str, str]) -> str | None:
    """Return a description of the CI job, or None outside of one."""
    for variable, service in _CI_SERVICES.items():
        if environ.get(variable):
            return f"a CI job ({service})"
    return None if environ.get("CI", "").lower() in {"", "0", "false", "no"} else "a CI job"


def is_wsl(environ: Mapping[str, str], root: Path | str) -> bool:
    """Return whether this is Linux on Windows; `root` is the root of the system's files."""
    if environ.get("WSL_DISTRO_NAME"):
        return True
    # A container of Docker Desktop has the same kernel.
    kernel = read_text(f"{root}/proc/version").lower()
    return "microsoft" in kernel and not is_container(environ, root)


def is_container(environ: Mapping[str, str], root: Path | str) -> bool:
    """Return whether this is a container apart from the desktop."""
    kind = environ.get("container")
    if kind in _LOCAL_CONTAINERS or os.path.exists(f"{root}/run/.toolboxenv"):
        return False
    if kind or environ.get("KUBERNETES_SERVICE_HOST"):
        return True
    if any(os.path.exists(f"{root}/{name}") for name in _CONTAINER_FILES):
        return True
    groups = read_text(f"{root}/proc/1/cgroup")
    return any(name in groups for name in _CONTAINER_GROUPS)


def read_text(path: str) -> str:
    """Return the text of a file, empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
