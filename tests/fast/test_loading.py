"""How `__main__` loads the optimisations."""

import subprocess
import sys

import pytest

BROKEN = """
import sys
sys.modules["soe_auth.fast.command_cache"] = None  # importing it fails
sys.argv = ["soe-auth", "--version"]
from soe_auth.__main__ import entry_point
entry_point()
"""


@pytest.mark.process
def test_a_missing_module_of_fast_is_an_error() -> None:
    command = [sys.executable, "-c", BROKEN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr
    assert "soe_auth.fast.command_cache" in done.stderr
