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


@pytest.mark.parametrize("text", ['wri"te', "back\\slash", "näme", "bell\x07"])
def test_what_no_scope_name_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="scope name"):
        Scope.parse(text)
