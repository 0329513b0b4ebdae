"""The page of standards is the output of `make standards`; the tests that it names exist."""

import re
import runpy

from docs_parser import DOCS, ROOT

PAGE = DOCS / "reference" / "standards.md"


def test_the_page_lists_the_marked_tests() -> None:
    written = runpy.run_path(str(ROOT / "tools" / "standards.py"))["page"]()
    assert PAGE.read_text(encoding="utf-8") == written, "type `make standards`"


def test_every_deviation_is_linked_from_a_row() -> None:
    rows, deviations = PAGE.read_text(encoding="utf-8").split("\n## Deviations\n")
    headings = re.findall(r"^### (.+)$", deviations, re.MULTILINE)
    linked = re.findall(r"\[deviation\]\(#([^)]+)\)", rows)
    assert {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings} == set(
        linked
    )


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (DOCS / "explanation" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))
    sources = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}
    assert named
    for file, test in named:
        assert f"def {test}(" in sources[file].read_text(encoding="utf-8"), test
