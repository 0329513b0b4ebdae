import pytest

from soe_auth import Scope


def test_a_scope_is_parsed_at_commas_and_blanks_and_written_with_commas() -> None:
    assert str(Scope.parse("write_access, no_expiry")) == "no_expiry,write_access"
    assert Scope.parse("no_expiry write_access") == Scope.parse("write_access,no_expiry,no_expiry")


def test_a_team_scope_keeps_its_vertical_bar() -> None:
    assert str(Scope.parse("access_team|BLUE")) == "access_team|BLUE"


def test_a_scope_without_names_is_read_only() -> None:
    assert Scope.parse("") == Scope()
    assert Scope().in_words() == "read only"
    assert not Scope().no_expiry


def test_a_scope_longer_than_300_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="300 characters at most"):
        Scope.parse("a " * 151)


@pytest.mark.parametrize("text", ['wri"te', "back\\slash", "näme", "bell\x07"])
def test_invalid_characters_in_a_scope_name_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="scope name"):
        Scope.parse(text)
