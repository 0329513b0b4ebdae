"""Write the DLL bcryptprimitives, which Wine 8 lacks and programs that are built with Rust need.

It has one function, ProcessPrng, which advapi32 has under another name (RtlGenRandom).
"""

import sys
from struct import pack

PAGE, SECTOR = 0x1000, 0x200
DIRECTORY = 40  # bytes of the export directory, which three tables and three strings follow
FUNCTIONS, NAMES, ORDINALS = (PAGE + DIRECTORY + at for at in (0, 4, 8))
STRINGS = (b"bcryptprimitives.dll\0", b"ProcessPrng\0", b"advapi32.SystemFunction036\0")
OWN_NAME = PAGE + DIRECTORY + 10
EXPORTED = OWN_NAME + len(STRINGS[0])
FORWARDER = EXPORTED + len(STRINGS[1])

exports = (
    pack("<IIHHIIIIIII", 0, 0, 0, 0, OWN_NAME, 1, 1, 1, FUNCTIONS, NAMES, ORDINALS)
    + pack("<IIH", FORWARDER, EXPORTED, 0)
    + b"".join(STRINGS)
)
headers = (
    pack("<2s58xI4s", b"MZ", 64, b"PE")
    + pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x2022)  # for x86-64, one section, a DLL
    + pack("<HHIIIIIQII", 0x20B, 0, 0, SECTOR, 0, 0, PAGE, 0x180000000, PAGE, SECTOR)
    + pack("<6HIIIIHH", 6, 0, 0, 0, 6, 0, 0, 2 * PAGE, SECTOR, 0, 2, 0x100)
    + pack("<4QII", 0, 0, 0, 0, 0, 16)
    + pack("<II120x", PAGE, len(exports))
    + pack("<8s6IHHI", b".edata", len(exports), PAGE, SECTOR, SECTOR, 0, 0, 0, 0, 0x40000040)
)
sys.stdout.buffer.write(headers.ljust(SECTOR, b"\0") + exports.ljust(SECTOR, b"\0"))
