"""tools/words.py finds words that are hard to read, and no line installs an unknown package."""

import re
import runpy
from pathlib import Path

import pytest
from docs_parser import PACKAGE, PAGES, ROOT

LINT = runpy.run_path(str(ROOT / "tools" / "words.py"))


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("docs/page.md", "The token\ncan be had there.\n", "docs/page.md: can be had"),
        ("soe_auth/a.py", '"""Nobody can read it."""\n', "soe_auth/a.py: nobody"),
        ("soe_auth/a.py", "x = 1  # of ours\n", "soe_auth/a.py: of ours"),
        ("soe_auth/a.py", 'x = f"In vain: {1}"\n', "soe_auth/a.py: in vain"),
        ("soe_auth/a.py", "def test_nobody_can_read_it(): ...\n", "soe_auth/a.py: nobody"),
        ("soe_auth/a.py", "class TokenCarrier: ...\n", "soe_auth/a.py: TokenCarrier: carrier"),
        ("soe_auth/usher.py", "", "soe_auth/usher.py: usher: usher"),
        ("docs/page.md", f"A{' very' * 38} long text.\n", "docs/page.md: 41 words: A very"),
        ("soe_auth/a.py", "x = 1  # What is left\n", "soe_auth/a.py: free relative: What is"),
        ("docs/page.md", "- What is left is old.\n", "docs/page.md: free relative: - What is"),
    ],
)
def test_a_planted_word_is_found(
    file: str, text: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert LINT["main"](tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(found)


def test_plain_words_and_code_blocks_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text(
        "# What it does\n\n```sh\nfind nobody\n```\n\n`nobody` is a user. What else?\n"
    )
    assert LINT["main"](tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_no_line_installs_soe_auth_by_its_name_from_an_index() -> None:
    by_name = re.compile(
        r"\b(?:install|uvx|uv add|pipx run) [^\n`]*(?<![\w/.-])soe-auth(?:\[|[\"']?$|==)",
        re.MULTILINE,
    )
    found = [
        match[0]
        for path in [*PAGES, *PACKAGE.rglob("*.py")]
        for match in by_name.finditer(path.read_text(encoding="utf-8"))
        if "--no-index" not in match[0]
    ]
    assert not found  # an index could serve another project's package under that name
