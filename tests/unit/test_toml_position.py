import tomllib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from soe_auth.settings.toml_position import line_of

CONFIG = '''\
# timeout = "comment"
default_profile = "a.b" # timeout = 1

banner = """
timeout = "text"
[profile.acme]
\\"""
port = 1""""
raw = \'\'\'
port = 2 \\\'\'\'\'
list = [
  "timeout = 3", # ] port = 4
  'x]', [ "\\"]" ],
]
timeout = "5m"

[profile.acme] # the first
site = "acme"
  port = 80
timeout = "x"
[ profile . "a.b" ]
"site" = 'beta'
[profile]
inline = { site = "gamma", port = 1 }
dotted.site = "delta"
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("default_profile", 2),
        ("banner", 4),
        ("raw", 9),
        ("list", 11),
        ("timeout", 15),
        ("profile", 17),
        ("profile acme", 17),
        ("profile acme site", 18),
        ("profile acme port", 19),
        ("profile acme timeout", 20),
        ("profile a.b", 21),
        ("profile a.b site", 22),
        ("profile inline port", 24),
        ("profile dotted", 25),
        ("profile dotted site", 25),
        ("port", None),
        ("profile a.b port", None),
        ("nothing at all", None),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_key_has_its_line_and_similar_text_has_none(
    path: str, line: int | None, newline: str
) -> None:
    assert tomllib.loads(CONFIG)
    assert line_of(CONFIG.replace("\n", newline), *path.split()) == line


def test_an_empty_text_has_no_lines() -> None:
    assert line_of("", "timeout") is None


TEXTS = st.text("a\"\\\n'#=[]", max_size=6)


def literal(text: str) -> str:
    inner = text.replace("'", "").replace("\n", "")
    return f"'{inner}'"


def basic(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'


def long(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"""', '""\\"')
    return f'"""{inner}"""'


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


VALUES = st.one_of(
    st.builds(literal, TEXTS),
    st.builds(basic, TEXTS),
    st.builds(long, TEXTS),
    st.builds(lambda a, b: f"[\n{basic(a)}, # {literal(b)} ]\n{long(b)}\n]", TEXTS, TEXTS),
    st.builds(lambda a: f"{{ x = {basic(a)} }}", TEXTS),
)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_the_line_of_a_key_is_found_behind_any_values(values: list[str]) -> None:
    text = "".join(f"k{n} = {value} # k9 = '\n" for n, value in enumerate(values))
    assume(is_toml(text))  # too many quotes in a row may end a text too early
    for n in range(len(values)):
        before = text.index(f"k{n} = ")
        assert line_of(text, f"k{n}") == text.count("\n", 0, before) + 1
    assert line_of(text, "k9") is None
