import copy
import logging
import pickle
import sys
import traceback

import pytest

from soe_auth import Secret
from soe_auth.model.secret import disable_core_dumps

if sys.platform != "win32":
    import resource


def test_every_way_to_print_a_secret_prints_a_placeholder() -> None:
    secret = Secret("canary")
    shown = f"{secret} {secret!r} {secret!s}" + str([secret])
    assert "canary" not in shown


def test_a_secret_is_hidden_in_a_traceback_and_in_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = Secret("canary")
    logging.getLogger("any").warning("%s", secret)
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))
    assert "canary" not in shown + caplog.text


def test_a_secret_cannot_be_pickled_or_copied() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("canary"))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret("canary"))


def test_reveal_returns_the_string() -> None:
    assert Secret("canary").reveal() == "canary"


def test_secrets_are_equal_if_their_strings_are() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_a_secret_matches_only_its_own_string() -> None:
    assert Secret("a").matches("a")
    assert not Secret("a").matches("")
    assert not Secret("a").matches("\udcff\u202e")


@pytest.mark.parametrize(
    ("secret", "text", "left"),
    [
        ("c(o)d*e", "no c(o)d*e, none", "no …, none"),
        ("c(o)d*e", "code=c%28o%29d%2Ae&x", "code=…&x"),
        ("a b", "a+b", "…"),
        ("a/B é", "code=a%2fB%20%c3%A9&x", "code=…&x"),
        ("a/B é", "code=%61%2F%42+%C3%A9&x", "code=…&x"),
        ("a/b", "a%252fb, A%2Fb", "…, …"),
        ('a/"b', r'{"code": "a\/\"b"}', '{"code": "…"}'),
        ("a/é", r"\u0061/\u00E9", "…"),
        ("a&b'", "a&amp;b&#x27; a&#38;b&#039;", "… …"),
        ("a" * 20_000, f"code={'a' * 20_000} in it", "code=… in it"),
        ("\udcff", "code=%FF", "code=…"),
        ("", "whole", "whole"),
    ],
)
def test_a_secret_is_redacted_in_any_escaped_form(secret: str, text: str, left: str) -> None:
    assert Secret(secret).redact_in(text) == left


@pytest.mark.posix("core dumps")
def test_core_dumps_are_disabled() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    disable_core_dumps()
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] <= 1
    resource.setrlimit(resource.RLIMIT_CORE, before)
