"""The CI workflow runs what the metadata claims, with the versions that are pinned."""

import re
import tomllib

import pytest
from docs_parser import ROOT
from packaging.markers import default_environment
from packaging.requirements import Requirement

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
JOBS = WORKFLOW.partition("\njobs:\n")[2]


def test_each_matrix_has_every_python_of_the_classifiers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    heads = [classifier.rpartition(" :: ") for classifier in project["classifiers"]]
    claimed = {
        version
        for head, _, version in heads
        if head == "Programming Language :: Python" and version.startswith("3.")
    }
    assert claimed
    matrices = re.findall(r"^ +python: \[(.+)\]$", JOBS, re.MULTILINE)
    assert len(matrices) == JOBS.count(" matrix:\n")
    for matrix in matrices:
        assert claimed <= {version.strip('"') for version in matrix.split(", ")}


def test_the_last_job_needs_every_other_job() -> None:
    *others, last = re.findall(r"^  (\w+):$", JOBS, re.MULTILINE)
    assert others
    assert last == "required"
    assert re.findall(r"^    needs: \[(.+)\]$", JOBS, re.MULTILINE) == [", ".join(others)]


@pytest.mark.parametrize("python", ["3.11", "3.14"])
@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
def test_each_installed_package_has_one_pinned_version_in_the_allowed_range(
    python: str, system: str
) -> None:
    environment: dict[str, str] = {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "extra": "",
    }
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = content["dependency-groups"].values()
    asked = map(
        Requirement,
        [
            *content["project"]["dependencies"],
            *content["project"]["optional-dependencies"]["keyring"],
            *(line for group in groups for line in group if isinstance(line, str)),
        ],
    )
    lock = (ROOT / "tools" / "constraints.txt").read_text(encoding="utf-8")
    pinned = [
        pin
        for pin in map(Requirement, lock.splitlines())
        if not pin.marker or pin.marker.evaluate(environment)
    ]
    for package in asked:
        [pin] = [pin for pin in pinned if pin.name == package.name]
        [version] = pin.specifier
        assert version.operator == "=="
        assert package.specifier.contains(version.version), package
