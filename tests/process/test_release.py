"""The release: it is built reproducibly, unpacked, installed without a network, and used."""

import email
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from conftest import Command, made_once
from docs_parser import DOCS, ROOT

from soe_auth.cli.commands.completion import SHELLS
from soe_auth.cli.main import COMMANDS
from soe_auth.version import __version__

PACKAGE = ROOT / "soe_auth"
MAN_PAGE = ROOT / "man" / "soe-auth.1"
NAME = f"soe_auth-{__version__}"
# pipx links these into ~/.local/share.
SHARED = (
    "bash-completion/completions/soe-auth",
    "fish/vendor_completions.d/soe-auth.fish",
    "man/man1/soe-auth.1",
    "zsh/site-functions/_soe-auth",
)
LOWEST = ROOT / ".venv" / "lowest"
WHEEL, SDIST = f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"

IN_THE_SDIST = {
    *(page.name for page in ROOT.glob("*.md")),
    ".github",
    ".gitignore",  # hatchling reads it
    ".pre-commit-hooks.yaml",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "benchmarks",
    "completions",
    "docs",
    "man",
    "pyproject.toml",
    "soe_auth",
    "tests",
    "tools",
}


def run(*argv: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    unset = {"SOURCE_DATE_EPOCH", "SOE_AUTH_REPOSITORY"}
    environ = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        argv, env={**environ, **variables}, capture_output=True, text=True, timeout=50, check=False
    )


def must(*argv: str | Path, **variables: str) -> str:
    done = run(*argv, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, into: Path, *what: str, **variables: str) -> Path:
    """Build the release as the how-to does; return its directory."""
    python = [sys.executable, "-m", "build", "--no-isolation"]
    must(*python, *what, "--outdir", into, source, **variables)
    return into


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist and the wheel that was built from it."""
    return made_once(tmp_path_factory, "built", lambda directory: build(ROOT, directory))


@pytest.fixture
def unpacked(built: Path, tmp_path: Path) -> Path:
    must("tar", "-xzf", built / SDIST, "-C", tmp_path)
    return tmp_path / NAME


def files_below(directory: Path) -> set[Path]:
    return {
        path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def metadata(built: Path) -> Message:
    with zipfile.ZipFile(built / WHEEL) as wheel:
        return email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))


def description(about: Message) -> str:
    text = about.get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode()


# --- the build -------------------------------------------------------------------------------


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_wheel_has_package_licence_man_page_and_completions_only(
    built: Path,
) -> None:
    sources = files_below(PACKAGE)
    assert {path.suffix for path in sources} == {".py", ".css", ".html", ".typed"}
    own = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    with zipfile.ZipFile(built / WHEEL) as wheel:
        assert set(wheel.namelist()) == {
            *(str(path.relative_to(ROOT)) for path in sources),
            *(f"{NAME}.dist-info/{name}" for name in own),
            *(f"{NAME}.data/data/share/{name}" for name in SHARED),
        }
        assert wheel.read(f"{NAME}.dist-info/entry_points.txt").decode().split() == [
            *("[console_scripts]", "soe-auth", "=", "soe_auth.__main__:entry_point"),
            *("[pytest11]", "soe-auth", "=", "soe_auth.pytest_plugin"),
        ]


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_sdist_has_all_sources_and_nothing_else(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == IN_THE_SDIST
    assert not list(unpacked.rglob("__pycache__"))
    for directory in [path for path in unpacked.iterdir() if path.is_dir()]:
        found = {path.relative_to(unpacked) for path in files_below(directory)}
        assert found == {path.relative_to(ROOT) for path in files_below(ROOT / directory.name)}


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_build_is_reproducible(built: Path, unpacked: Path, tmp_path: Path) -> None:
    for path in [unpacked, *unpacked.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (10**9, 10**9))
    # The first wheel was built from the sdist; this one is built from the directory.
    again = build(
        unpacked, tmp_path / "again", "--sdist", "--wheel", TZ="Asia/Tokyo", PYTHONHASHSEED="1"
    )
    for name in (SDIST, WHEEL):
        assert (again / name).read_bytes() == (built / name).read_bytes()


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_metadata_describes_the_project_and_links_to_the_given_repository(
    built: Path, unpacked: Path, tmp_path: Path
) -> None:
    about = metadata(built)
    assert (about["Name"], about["License-Expression"]) == ("soe-auth", "MIT")
    assert about["Requires-Python"] == ">=3.11"
    assert about.get_all("Provides-Extra") == ["keyring", "tls"]
    assert "Typing :: Typed" in about.get_all("Classifier", [])
    assert about.get_all("Project-URL") is None  # without SOE_AUTH_REPOSITORY
    must(sys.executable, "-m", "twine", "check", "--strict", built / WHEEL, built / SDIST)
    repository = "https://git.example.com/tools/soe-auth"
    # The second wheel is built from the sdist, without the variable.
    sdist = build(unpacked, tmp_path / "linked", "--sdist", SOE_AUTH_REPOSITORY=repository)
    must("tar", "-xzf", sdist / SDIST, "-C", tmp_path / "linked")
    built = build(tmp_path / "linked" / NAME, tmp_path / "wheel", "--wheel")
    links = dict(line.split(", ") for line in metadata(built).get_all("Project-URL", []))
    assert links.pop("Source") == repository
    assert links.pop("Issues") == f"{repository}/issues"
    assert set(links) == {"Documentation", "Changelog"}
    for url in links.values():
        path = url.removeprefix(f"{repository}/blob/v{__version__}/")
        assert (ROOT / path).is_file()
    must(sys.executable, "-m", "twine", "check", "--strict", built / WHEEL)


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_description_has_no_relative_links(built: Path) -> None:
    about = metadata(built)
    assert about["Description-Content-Type"] == "text/markdown"
    text, readme = description(about), (ROOT / "README.md").read_text()
    heads = re.compile(r"^##? .+$", re.MULTILINE)
    assert heads.findall(text) == heads.findall(readme)
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert code.findall(text) == code.findall(readme)
    prose = code.sub("", text)
    assert not re.search(r"\]\((?!https://)|\]\[|<(?:img|picture|source|a)\b", prose)
    for path in re.findall(r"\(`([\w/.-]+)`\)", prose):
        assert (ROOT / path).exists()


# --- the version ---------------------------------------------------------------------------------


def changelog() -> list[tuple[str, str]]:
    """The versions in the changelog, and their release dates."""
    text = (ROOT / "CHANGELOG.md").read_text()
    return re.findall(r"^## (\S+) \((.+)\)$", text, re.MULTILINE)


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_version_is_defined_once_and_is_the_same_everywhere(built: Path) -> None:
    homes = [path.name for path in PACKAGE.rglob("*.py") if f'"{__version__}"' in path.read_text()]
    assert homes == ["version.py"]
    assert metadata(built)["Version"] == __version__
    assert f'"soe\\-auth {__version__}"' in MAN_PAGE.read_text()
    assert changelog()[0][0] == __version__
    pages = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    assert set(re.findall(r"^ *rev: (.+)$", pages, re.MULTILINE)) == {f"v{__version__}"}


def test_each_entry_of_the_changelog_has_a_version_a_date_and_known_sections() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    entries = changelog()
    assert len(entries) == len(re.findall(r"^## ", text, re.MULTILINE))
    versions = [tuple(map(int, version.split("."))) for version, _ in entries]
    assert versions == sorted(set(versions), reverse=True)
    dates = [date for _, date in entries]
    assert all(re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", date) for date in dates[1:])
    assert re.fullmatch(r"unreleased|20\d\d-[01]\d-[0-3]\d", dates[0])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds


# --- the man page --------------------------------------------------------------------------------


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_man_page_is_up_to_date() -> None:
    page = must(sys.executable, ROOT / "tools" / "manpage.py")
    assert page == MAN_PAGE.read_text(), "make man"


@pytest.mark.posix("groff reads the page")
@pytest.mark.needs("groff")
def test_the_man_page_has_no_warnings() -> None:
    read = run("groff", "-man", "-ww", "-z", MAN_PAGE)
    assert (read.returncode, read.stdout, read.stderr) == (0, "", "")
    assert MAN_PAGE.read_text().isascii()


@pytest.mark.posix("groff reads the page")
@pytest.mark.needs("groff")
def test_the_examples_of_the_man_page_use_existing_options() -> None:
    shown = must("groff", "-man", "-Tascii", "-P-cbou", MAN_PAGE)
    heads = re.split(
        r"^   soe-auth (\w+)$", shown.partition("\nEXIT STATUS")[0], flags=re.MULTILINE
    )
    sections = dict(zip(heads[1::2], heads[2::2], strict=True))
    assert list(sections) == list(COMMANDS)
    examples = shown.partition("\nEXAMPLES\n")[2].partition("\nSEE ALSO\n")[0]
    commands = re.findall(r"soe-auth ([a-z]+)([^|\n]*)", examples)
    assert commands
    for command, rest in commands:
        for option in re.findall(r"--\w[\w-]+", rest):
            assert re.search(rf"^ +(?:-\w, )?{option}\b", sections[command], re.MULTILINE)


# --- the installation ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, without this checkout."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    def __call__(self, home: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        environ = Command(home).environ
        environ["PATH"] = f"{self.directory / 'bin'}:{environ['PATH']}"
        return subprocess.run(
            argv, env=environ, cwd=home, capture_output=True, text=True, timeout=50, check=False
        )


def install(wheel: Path, into: Path, dependencies: str | Path) -> Installed:
    installed = Installed(into)
    must(sys.executable, "-m", "venv", "--without-pip", installed.directory)
    pip = [sys.executable, "-m", "pip", "--python", str(installed.python)]
    must(*pip, "install", "--no-index", "--no-deps", wheel)
    site_packages = must(installed.python, "-c", "import site; print(site.getsitepackages()[0])")
    (Path(site_packages.strip()) / "dependencies.pth").write_text(f"{dependencies}\n")
    return installed


HERE = Path(sysconfig.get_path("purelib"))  # its editable installs do not apply


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
@pytest.mark.parametrize("dependencies", [HERE, LOWEST], ids=["as-here", "oldest"])
def test_the_installation_runs_a_demo_also_with_the_oldest_dependencies(
    dependencies: Path, built: Path, tmp_path: Path
) -> None:
    if not dependencies.is_dir():
        pytest.skip("tools/setup makes it")
    installed, home = (
        install(built / WHEEL, tmp_path / "installed", dependencies),
        tmp_path / "home",
    )
    home.mkdir()
    where = installed(home, "python", "-c", "import soe_auth; print(soe_auth.__file__)")
    assert where.stdout.startswith(str(installed.directory))
    printed = installed(home, "soe-auth", "--version")
    assert (printed.returncode, printed.stdout) == (0, f"soe-auth {__version__}\n")
    for name, oldest in re.findall(
        r"^Requires-Dist: ([\w-]+)[^;\n]*?>=([\d.]+)[^;\n]*$", str(metadata(built)), re.MULTILINE
    ):
        print_version = f"import importlib.metadata as m; print(m.version({name!r}))"
        version = installed(home, "python", "-c", print_version).stdout.strip()
        assert dependencies == HERE or f"{version}.".startswith(f"{oldest}."), name
    demo = installed(home, "soe-auth", "demo")
    assert demo.returncode == 0, demo.stderr
    assert "The API answers: you are " in demo.stderr
    profile = ("--site", "acme", "--client-id", "110", "--yes", "--no-check")
    assert installed(home, "soe-auth", "init", *profile).returncode == 0
    for shell in SHELLS:
        assert installed(home, "soe-auth", "completion", shell).stdout
    page = installed.directory / "share" / "man" / "man1" / "soe-auth.1"
    assert page.read_bytes() == MAN_PAGE.read_bytes()


@pytest.mark.posix("hatchling is not among what all systems install")
@pytest.mark.process
def test_the_installation_is_typed(built: Path, tmp_path: Path) -> None:
    installed = install(built / WHEEL, tmp_path / "installed", HERE)
    program = tmp_path / "program.py"
    program.write_text("import soe_auth\n\nreveal_type(soe_auth.get_token().reveal())\n")
    mypy = [sys.executable, "-m", "mypy", "--strict"]
    checked = installed(tmp_path, *mypy, "--python-executable", installed.python, program)
    assert checked.stdout.splitlines() == [
        'program.py:3: note: Revealed type is "str"',
        "Success: no issues found in 1 source file",
    ]
