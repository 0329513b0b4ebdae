import pytest

from soe_auth import Scope


def test_commas_and_blanks_are_read_and_commas_are_written() -> None:
    assert str(Scope.parse("write_access, no_expiry")) == "no_expiry,write_access"
    assert Scope.parse("no_expiry write_access") == Scope.parse("write_access,no_expiry,no_expiry")


def test_a_team_scope_keeps_its_bar() -> None:
    assert str(Scope.parse("access_team|BLUE")) == "access_team|BLUE"


def test_no_names_mean_read_only() -> None:
    assert Scope.parse("") == Scope()
    assert Scope().in_words() == "read only"
    assert not Scope().no_expiry


def test_a_scope_that_could_not_be_shown_as_a_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="300 characters at most"):
        Scope.parse("a " * 151)


@pytest.mark.parametrize("text", ['wri"te', "back\\slash", "näme", "bell\x07"])
def test_what_no_scope_name_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="scope name"):
        Scope.parse(text)
