"""Access control lists, in the text form of Windows 10 and 11."""

import pytest

from soe_auth.files.windows_acl import all_can_replace, others_in

ME = "S-1-5-21-1004336348-1177238915-682003330-1001"
BOB = "S-1-5-21-1004336348-1177238915-682003330-1002"
MINE = f"O:{ME}G:DUD:"

PRIVATE = {
    "a profile": f"(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{ME})",
    "a private file": f"P(A;;FA;;;{ME})(A;;FA;;;SY)(A;;FA;;;BA)",
    "made by Python with mode 0700": "P(A;OICI;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
    "administrators of a domain": f"(A;;FA;;;{ME})(A;;FA;;;DA)(A;;FA;;;{ME[:-4]}512)",
    "only to go through it": f"(A;;FA;;;{ME})(A;;0x1200a0;;;BU)(A;;FX;;;WD)(A;;RCLOSWWP;;;AU)",
    "for what is made in it": f"(A;;FA;;;{ME})(A;OICIIO;FA;;;WD)(A;OICIIO;GA;;;CO)",
    "denied": f"(D;;FA;;;WD)(A;;FA;;;{ME})",
    "no one at all": "",
    "a package": f"(A;;FA;;;{ME})(A;;0x1200a9;;;AC)(A;;FR;;;S-1-15-3-1024-1-2-3)",
}
OPEN = {
    "the drive": ("(A;;0x1301bf;;;AU)(A;;0x1200a9;;;BU)", ["Authenticated Users", "Users"]),
    "everyone": (f"AI(A;ID;FA;;;{ME})(A;ID;FR;;;WD)", ["Everyone"]),
    "a user": (f"(A;;FA;;;{ME})(A;;0x120089;;;{BOB})", [BOB]),
    "a rights name that is not known": ("(A;;ZZ;;;BG)", ["Guests"]),
    "to write alone": ("(A;;DC;;;AN)", ["Anonymous"]),
    "to take the rights": ("(A;;WD;;;IU)(A;;WO;;;NU)", ["Interactive", "Network"]),
    "on a condition": ('(XA;;FR;;;WD;(@User.Title=="PM" && (Member_of {SID(BA)})))', ["Everyone"]),
    "twice": ("(A;;FR;;;BU)(A;OICI;FW;;;BU)", ["Users"]),
    "denied to some": ("(D;;FA;;;BG)(A;;FR;;;WD)", ["Everyone"]),
    "no list": ("NO_ACCESS_CONTROL", ["Everyone"]),
}


@pytest.mark.parametrize("dacl", PRIVATE.values(), ids=PRIVATE.keys())
def test_private_lists_name_no_others(dacl: str) -> None:
    assert others_in(MINE + dacl, ME) == []
    assert not all_can_replace(MINE + dacl, ME)


@pytest.mark.parametrize(("dacl", "others"), OPEN.values(), ids=OPEN.keys())
def test_others_who_have_access_are_named(dacl: str, others: list[str]) -> None:
    assert others_in(MINE + dacl, ME) == others


@pytest.mark.parametrize("owner", ["BA", "SY", "LA", ME])
def test_an_administrator_may_be_the_owner(owner: str) -> None:
    assert others_in(f"O:{owner}G:DUD:(A;;FA;;;{ME})", ME) == []


def test_another_user_as_owner_has_access() -> None:
    assert others_in(f"O:{BOB}G:DUD:(A;;FA;;;{ME})", ME) == [f"the owner {BOB}"]
    assert others_in(f"G:DUD:(A;;FA;;;{ME})", ME) == ["the owner unknown"]


def test_a_file_without_a_list_is_open_to_everyone() -> None:
    assert others_in(f"O:{ME}", ME) == ["Everyone"]
    assert all_can_replace(f"O:{ME}", ME)


@pytest.mark.parametrize(
    ("sddl", "can"),
    [
        ("O:SYD:(A;OICI;FA;;;SY)(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;OICI;0x1200a9;;;BU)", False),
        ("O:SYD:(A;OICIID;0x1301bf;;;AU)(A;OICIID;0x1200a9;;;BU)", True),
        ("O:BAD:(A;;0x40;;;WD)", True),
        ("O:BAD:(A;;DT;;;BU)", True),
        (f"O:BAD:(A;;FA;;;{BOB})", False),
    ],
    ids=["C:", "made in C:", "what is in it", "what is in it, by name", "a user who is named"],
)
def test_a_directory_that_every_user_can_replace(sddl: str, *, can: bool) -> None:
    assert all_can_replace(sddl, ME) is can


@pytest.mark.parametrize(
    ("dacl", "others"),
    [
        (f"(A;;FA;;;{ME})(A;;0x1200a9;;;BU)(A;;FR;;;WD)(A;;GRGX;;;AU)", []),
        ("(A;;FA;;;BA)(A;;0x1301bf;;;AU)", ["Authenticated Users"]),
        ("(A;;FRDC;;;BU)", ["Users"]),
        (f"(A;;WD;;;{BOB})", [BOB]),
    ],
)
def test_can_change_leaves_out_those_who_can_only_read(dacl: str, others: list[str]) -> None:
    assert others_in(MINE + dacl, ME, can_change=True) == others
