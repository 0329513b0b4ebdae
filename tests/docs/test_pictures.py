"""The pictures of the README exist, are small and self-contained, and show the product."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from docs_parser import ROOT

from soe_auth.loopback.pages import signed_in

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"<picture>(.*?)</picture>", README, re.DOTALL)
FILES = sorted(
    {ROOT / path for each in SHOWN for path in re.findall(r'(?:src|srcset)="(.*?)"', each)}
)
DRAWN = [path for path in FILES if path.suffix == ".svg"]


def with_placeholders(text: str) -> list[str]:
    """Return the words of a text, with placeholders for those that differ each time."""
    text = re.sub(r"http://localhost:\d+/\S{8}(?=\s)", "ADDRESS", text)
    text = re.sub(r"(?<=localhost[:-])\d+", "PORT", text)
    text = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d:\d\d\b", "TIME", text)
    return re.sub(r"\S+(?=/\.config/)", "HOME", text).split()


def words_of(drawing: Path) -> str:
    """Return the text of a picture of a terminal, row by row."""
    rows: dict[str, str] = {}
    for text in ET.parse(drawing).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 - our own
        rows[text.attrib["y"]] = rows.get(text.attrib["y"], "") + (text.text or "")
    return "\n".join(rows.values()).replace("\N{NO-BREAK SPACE}", " ")


def test_each_picture_has_two_schemes_a_description_and_a_small_size() -> None:
    assert len(SHOWN) == 2
    for picture in SHOWN:
        assert re.search(r'<source media="\(prefers-color-scheme: dark\)" srcset="\S+dark', picture)
        assert re.search(r'<img src="\S+light', picture)
        assert re.search(r'alt="[^"]{50,}"', picture)
    assert sorted((ROOT / "docs" / "pictures").iterdir()) == FILES
    assert all(path.stat().st_size < 80_000 for path in FILES)


@pytest.mark.parametrize("drawing", DRAWN, ids=lambda path: path.name)
def test_a_drawing_loads_and_runs_nothing(drawing: Path) -> None:
    text = drawing.read_text(encoding="utf-8")
    tags = {element.tag.partition("}")[2] for element in ET.fromstring(text).iter()}  # noqa: S314 - our own
    assert tags == {"svg", "style", "defs", "clipPath", "rect", "g", "text"}
    assert not re.search(r"href|@import|@font-face|url\((?!#)", text)
    assert re.findall(r"https?://[^\s&<\"]+\.[^\s&<\"]+", text) == ["http://www.w3.org/2000/svg"]


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_picture_of_the_terminal_is_current() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "tools" / "pictures.py", "--words"],
        capture_output=True,
        text=True,
        check=True,
    )
    now = with_placeholders(ran.stdout)
    assert DRAWN
    for drawing in DRAWN:
        assert with_placeholders(words_of(drawing)) == now, "outdated: type `make pictures`"


def test_the_description_of_the_browser_has_the_words_of_the_page() -> None:
    page = signed_in("localhost:7700", "Jane Doe", "until Tue 09:12 (24 h)").html
    sentences = re.findall(r"<(?:h1|p|p class=\"todo\")>(.*?)</", page)
    assert len(sentences) == 3
    [beside] = [picture for picture in SHOWN if "/browser-" in picture]
    for sentence in sentences:
        assert " ".join(with_placeholders(sentence)).replace("TIME", "…") in " ".join(
            with_placeholders(beside)
        )
