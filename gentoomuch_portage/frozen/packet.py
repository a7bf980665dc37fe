"""A detached signature as bytes that can be written in one way only.

Part of an OpenPGP signature is signed by nobody, and gpg takes whatever stands there: the key's number, two octets of
the digest, further packets. An archive whose bytes were changed is refused, so these are held to what they must be.

Source: RFC 4880, 4.2 (packets) and 5.2.3, 5.2.4 (version 4 signatures).
"""

import hashlib

_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
_ISSUER = b"\x09\x10"
"""A subpacket of nine octets, of the type "issuer"."""


def plain(signature: bytes, content: bytes, fingerprint: str) -> bool:
    """Whether it is one version 4 signature of a document, with no room for anything else.

    That it is a good one is for gpg to say.

    Args:
        content: what it signs.
        fingerprint: of the main key, which must be the one that signs.
    """
    octets = {0x88: 1, 0x89: 2}.get(signature[0] if signature else 0, 0)
    body = signature[1 + octets :]
    if not octets or int.from_bytes(signature[1 : 1 + octets], "big") != len(body) or body[:2] != b"\x04\x00":
        return False
    ends = 6 + int.from_bytes(body[4:6], "big")
    unsigned = _ISSUER + bytes.fromhex(fingerprint)[-8:]
    rest = len(unsigned).to_bytes(2, "big") + unsigned
    hashed = body[:ends]
    if len(hashed) < ends or body[3] not in _HASHES or body[ends : ends + len(rest)] != rest:
        return False
    digest = hashlib.new(_HASHES[body[3]], content + hashed + b"\x04\xff" + ends.to_bytes(4, "big")).digest()
    at = ends + len(rest)
    return body[at : at + 2] == digest[:2]
