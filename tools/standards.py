"""Write the last column of docs/reference/standards.md: `make standards`.

The column names the tests that show the row's clause. They have the mark `rfc` with that clause:
`@pytest.mark.rfc("8252-7.3")` for section 7.3 of RFC 8252. In a table under another heading, the
clause is the first cell of the row.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "standards.md"
SHOWN_BY = " shown by "


def marked() -> dict[str, list[str]]:
    """Return the tests that show each clause."""
    tests = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py"), key=lambda path: path.name):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.rfc":
                    for clause in mark.args:
                        tests[ast.literal_eval(clause)].append(f"`{path.name}::{node.name}`")
    return tests


def page() -> str:
    """Return the page with the tests of each row; every row must have one, and every test a row."""
    tests = marked()
    prefix, in_table, lines = "", False, []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (?:RFC (\d+)|.*)", line):
            prefix = f"{heading[1]}-" if heading[1] else ""
        cells = line.split("|")
        in_table = line.startswith("|") and (in_table or cells[-2] == SHOWN_BY)
        if in_table and not cells[-2].startswith((SHOWN_BY, " ---")):
            clause = prefix + cells[1].strip()
            if clause not in tests:
                raise SystemExit(f"no test is marked as showing {clause}")
            cells[-2] = f" {', '.join(tests.pop(clause))} "
        lines.append("|".join(cells))
    if tests:
        raise SystemExit(f"{PAGE.name} has no row for {', '.join(tests)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
