"""Which tests are marked `posix`, read from their source: not every system can import them all."""

import ast
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent

# Test functions that do not run on Windows. The number may only fall.
POSIX_TESTS = 394


@dataclass(frozen=True)
class Marked:
    """The test functions of a module that are marked, and whether the whole module is."""

    functions: list[str]
    whole: bool


def marked_in(path: Path) -> Marked:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    whole = any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and _is_marked(node.value)
        for node in tree.body
    )
    functions = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and (whole or any(map(_is_marked, node.decorator_list)))
    ]
    return Marked(functions, whole)


def _is_marked(node: ast.expr) -> bool:
    return "pytest.mark.posix(" in ast.unparse(node)
