"""Functions as the unwinder knows them: where each begins and how long it is, also in a stripped file.

Source: LSB Core, "Exception Frames"; the encodings are those of DWARF's DW_EH_PE.
"""

import struct
from collections.abc import Iterator

_RELATIVE_SIGNED, _ABSOLUTE = 0x1B, 0x03
"""What compilers write for x86: 4 bytes relative to themselves, or 4 bytes of an address below 4 GiB."""
_MOST_NAME = 16


def functions(content: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Address and size of the functions of an .eh_frame section.

    What is damaged, or encoded otherwise, ends the list: it is a help to name places, no more.

    Args:
        start: the address of the section.
    """
    encodings: dict[int, int] = {}
    at = 0
    while at + 12 <= len(content):
        length, back = struct.unpack_from("<II", content, at)
        if length in {0, 0xFFFFFFFF} or at + 4 + length > len(content):
            return
        if back == 0:
            encodings[at] = _encoding(content[at + 8 : at + 4 + length])
        elif (encoding := encodings.get(at + 4 - back, -1)) in {_RELATIVE_SIGNED, _ABSOLUTE} and length >= 12:
            said, size = struct.unpack_from("<iI", content, at + 8)
            yield (start + at + 8 + said if encoding == _RELATIVE_SIGNED else said & 0xFFFFFFFF), size
        at += 4 + length


def _encoding(common: bytes) -> int:
    """How the entries that share this common part write addresses; -1 where it does not tell."""
    augmentation, _, rest = common[1:].partition(b"\0")
    if not augmentation.startswith(b"z") or len(augmentation) > _MOST_NAME:
        return -1
    numbers = iter(rest)
    for _ in range(4):  # code and data alignment, return register, length of what follows
        while next(numbers, 0) & 0x80:
            pass
    for letter in augmentation[1:]:
        encoding = next(numbers, -1)
        if letter == ord("R"):
            return encoding
        if letter == ord("P"):
            for _ in range({0x00: 8, 0x04: 8, 0x0C: 8, 0x02: 2, 0x0A: 2}.get(encoding & 0x0F, 4)):
                next(numbers, 0)
    return -1
