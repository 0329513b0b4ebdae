"""The tests that Windows leaves out are counted, on every system alike."""

import re

from posix_marks import POSIX_TESTS, TESTS, marked_in


def test_the_number_of_posix_tests_only_falls() -> None:
    count = sum(len(marked_in(path).functions) for path in TESTS.rglob("test_*.py"))
    assert count <= POSIX_TESTS, "make the new test run on Windows instead of marking it `posix`"
    assert count == POSIX_TESTS, f"well done: set POSIX_TESTS in tests/posix_marks.py to {count}"


def test_each_posix_mark_has_a_reason_and_is_counted() -> None:
    mark = r"pytest\.mark\.posix"
    counted = re.compile(rf'\s*(@|pytestmark = )?{mark}\("[^"]+"\),?')
    for path in TESTS.rglob("test_*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert counted.fullmatch(line) or not re.search(mark, line), (path.name, line)
