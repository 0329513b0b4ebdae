"""With a thousand profiles, config.toml and the project file are still read only a few times."""

import subprocess
from pathlib import Path
from shutil import which

import pytest
from conftest import Command, unmeasured

MANY = 1000
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not which("strace"), reason="strace is not installed"),
]


@pytest.mark.parametrize(
    ("argv", "most"),
    [
        (["status"], 3),  # the second time for the default, the third for what a variable says
        (["status", "--json"], 2),
        (["doctor"], 2),
        (["token"], 2),
        (["logout", "--all"], 2),
        (["completion", "--profiles"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_files_are_not_read_for_each_profile(
    soe_auth: Command, tmp_path: Path, argv: list[str], most: int
) -> None:
    config = Path(soe_auth.environ["SOE_AUTH_CONFIG_DIR"]) / "config.toml"
    config.parent.mkdir(mode=0o700, exist_ok=True)
    tables = (f'[profile.p{n}]\nsite = "s{n}"\nclient_id = "110"\n' for n in range(MANY))
    config.write_text("\n".join(['default_profile = "p1"', *tables]))
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    project = clone / ".soe-auth.toml"
    project.write_text('scope = "no_expiry"\n')
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=openat", "-o", trace, soe_auth.path, *argv],
        cwd=clone,
        env=unmeasured(soe_auth.environ),
        capture_output=True,
        check=False,
        timeout=60,
    )
    lines = trace.read_text().splitlines()
    opened = [sum(f'"{file}"' in line for line in lines) for file in (config, project)]
    assert 1 <= opened[0] <= most
    assert opened[1] <= most
