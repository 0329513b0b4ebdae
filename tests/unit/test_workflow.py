"""The CI workflow runs what the metadata claims, and its last job waits for all others."""

import re
import tomllib

from docs_parser import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
JOBS = WORKFLOW.partition("\njobs:\n")[2]


def test_every_python_of_the_classifiers_is_in_each_matrix() -> None:
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
