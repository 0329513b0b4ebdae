from hypothesis import given
from hypothesis import strategies as st

from soe_auth.model.text import printable


@given(st.text())
def test_any_text_becomes_one_short_printable_line(text: str) -> None:
    shown = printable(text, 50)
    assert shown.isprintable()
    assert len(shown) <= 50


def test_words_of_any_language_are_unchanged() -> None:
    assert printable("Zoë Ångström 王小明 🙂") == "Zoë Ångström 王小明 🙂"


def test_control_and_direction_characters_are_replaced() -> None:
    assert printable("a\x1b[2Jb\u202ec\x07d") == "a\ufffd[2Jb\ufffdc\ufffdd"


def test_line_breaks_and_other_white_space_become_one_blank() -> None:
    assert printable(" a\r\n b\u00a0c\u2028d ") == "a b c d"


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert printable("x" * 300, 10) == "xxxxxxxxx…"
