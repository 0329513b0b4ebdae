"""The page of standards: each clause has its row, each row its tests, each deviation its reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_parser import DOCS, anchors, rows, section

PAGE = DOCS / "reference" / "standards.md"
TESTS = Path(__file__).parents[1]

BEYOND = "Beyond the RFCs"
DEVIATIONS = "Deviations"

# What the standards ask of a native public client with a loopback redirect, in the order of the
# page. A section that asks for several things stands there once for each.
CLAUSES = {
    "RFC 8252": (
        *("6", "8.12", "6", "8.1", "7.3", "8.2", "8.3", "8.3", "8.4", "8.5", "8.9", "8.10"),
        *("B.3", "B.4", "B.5"),
    ),
    "RFC 7636": ("4.1", "7.1", "4.2", "4.3", "7.2", "A", "B", "4.5", "4.6"),
    "RFC 6749": (
        *("3.1", "3.1.2", "3.1.2.5", "3.2", "3.3"),
        *("4.1.1", "4.1.2", "4.1.2.1", "4.1.3", "4.1.4", "5.1", "5.2"),
        *("10.3", "10.5", "10.6", "10.9", "10.12", "10.14", "10.15", "10.16"),
    ),
    "RFC 9700": (
        *("2.1", "2.1", "2.1", "2.1.1", "2.1.2", "2.3", "2.4", "2.6"),
        *("4.1.3", "4.2.4", "4.2.4", "4.3.1", "4.3.2", "4.4.2", "4.4.2", "4.5.3.1", "4.7.1"),
        *("4.8.2", "4.11.1", "4.12", "4.12", "4.16"),
    ),
    "RFC 9207": ("2.4", "2.4", "2.4", "3"),
}
DANGERS_BEYOND = 7


def table(heading: str) -> list[list[str]]:
    """The rows below a table's head."""
    return rows(section(PAGE, heading))[1:]


def all_rows() -> Iterator[list[str]]:
    for heading in (*CLAUSES, BEYOND):
        yield from table(heading)


def cited(row: list[str]) -> list[tuple[str, str]]:
    """The tests that a row names, as file and function."""
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", row[-1])


def existing() -> set[tuple[str, str]]:
    return {
        (path.name, node.name)
        for path in TESTS.rglob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def deviations() -> dict[str, str]:
    """What the page tells of each deviation, by its heading."""
    _, *parts = re.split(r"^### (.+)$", section(PAGE, DEVIATIONS), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def links_to_deviations() -> list[str]:
    return re.findall(r"\[deviation\]\(#([^)]+)\)", PAGE.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("standard", CLAUSES)
def test_every_clause_has_its_row(standard: str) -> None:
    assert tuple(row[0] for row in table(standard)) == CLAUSES[standard]


def test_what_lies_beyond_has_its_rows() -> None:
    assert len({row[0] for row in table(BEYOND)}) == len(table(BEYOND)) == DANGERS_BEYOND


def test_no_cell_is_empty() -> None:
    for row in all_rows():
        assert len(row) == 4, row
        assert all(row), row


def test_every_row_names_its_tests_and_they_exist() -> None:
    missing = {test for row in all_rows() for test in cited(row)} - existing()
    assert not missing
    for row in all_rows():
        names = re.sub(r"`test_\w+\.py::test_\w+`(, )?", "", row[-1])
        assert cited(row), row
        assert not names, f"this names no test: {names}"


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (DOCS / "explanation" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))
    assert len(named) > 10
    assert named <= existing()
    assert set(re.findall(r"`(test_\w+\.py)", text)) <= {file for file, _ in existing()}


def test_every_deviation_in_a_row_is_told_with_its_reason() -> None:
    assert set(links_to_deviations()) == {anchor(heading) for heading in deviations()}
    assert set(links_to_deviations()) <= anchors(PAGE)
    for heading, text in deviations().items():
        assert re.search(r"^Why: \S", text, re.MULTILINE), heading


def test_no_row_speaks_of_a_deviation_without_a_link_to_it() -> None:
    for row in all_rows():
        bare = re.sub(r"\[deviation\]\(#[^)]+\)", "", " ".join(row))
        assert "deviat" not in bare.lower(), row
