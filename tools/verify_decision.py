#!/usr/bin/env python3
"""Check the proof of one decision, offline, with Python's standard library and nothing else.

    python3 verify_decision.py --keys KEYS PROOF.json          one decision (from `pdp audit prove`)
    python3 verify_decision.py --keys KEYS CONSISTENCY.json    two heads of one log (from `pdp audit consistency`)
    python3 verify_decision.py --keys KEYS HEAD.checkpoint     the signature on a head, for example from an anchor

KEYS holds public keys that you trust, one `NAME+ID+BASE64` a line: a copy that you were given, not the log's
own. Exit code 0: proven. 1: not proven, and why. 2: the files cannot be used.

What is checked of a decision: (1) the record lies at its place under the root in the leaf (RFC 6962, 2.1.1);
(2) the leaf lies at its place under the root in the head; (3) one of your keys signed the head (C2SP
signed-note and tlog-checkpoint; Ed25519, RFC 8032).

Ed25519 is written out below because Python has none of its own, and an auditor should not have to trust a
package more. It only verifies: there is no secret whose timing could tell anything. It takes some milliseconds.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import sys
from pathlib import Path


class NotProvenError(Exception):
    """What does not hold."""


# -- Ed25519 verification (RFC 8032, section 5.1.7) -----------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
KEY_BYTES, SIGNATURE_BYTES, ID_BYTES = 32, 64, 4
Point = tuple[int, int, int, int]  # extended coordinates: x = X/Z, y = Y/Z, xy = T/Z
NEUTRAL: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, point: Point) -> Point:
    total = NEUTRAL
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def point_of(raw: bytes) -> Point | None:
    """A point from its 32 bytes, or None where they are none in canonical form."""
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if len(raw) != KEY_BYTES or y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * ROOT_OF_MINUS_1 % P
    if x * x % P != x2 or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL


def ed25519_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    a, r = point_of(public), point_of(signature[:KEY_BYTES])
    s = int.from_bytes(signature[KEY_BYTES:], "little")
    if a is None or r is None or len(signature) != SIGNATURE_BYTES or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:KEY_BYTES] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(k, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 == (left[1] * right[2] - right[1] * left[2]) % P


# -- Merkle trees (RFC 6962, section 2.1; the algorithms of RFC 9162, 2.1.3.2 and 2.1.4.2) ---------------


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_by_inclusion(leaf: bytes, position: int, size: int, path: list[bytes]) -> bytes:
    if not 0 <= position < size:
        raise NotProvenError("a position lies outside its tree")
    node, last, root = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise NotProvenError("a path is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise NotProvenError("a path is too short")
    return root


def consistent(older: tuple[int, bytes], newer: tuple[int, bytes], path: list[bytes]) -> bool:
    (small, small_root), (large, large_root) = older, newer
    if small == large:
        return not path and small_root == large_root
    hashes = [small_root, *path] if small & (small - 1) == 0 else path
    node, last = small - 1, large - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not 1 <= small < large or not hashes:
        return False
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == small_root and second == large_root


# -- Signed heads (C2SP signed-note, tlog-checkpoint) ----------------------------------------------------


def trusted_keys(text: str) -> dict[tuple[str, bytes], bytes]:
    """Public keys by name and id. Raises ValueError."""
    keys = {}
    for line in text.split():
        name, key_id, encoded = line.split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        computed = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:ID_BYTES]
        if raw[:1] != b"\x01" or len(raw) != 1 + KEY_BYTES or computed.hex() != key_id:
            raise ValueError(f"`{line}` is not an Ed25519 key in the form NAME+ID+BASE64")
        keys[name, computed] = raw[1:]
    return keys


def head_of(note: str, keys: dict[tuple[str, bytes], bytes]) -> tuple[str, int, bytes]:
    """Origin, size and root of a head that one of the keys signed."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    signed = False
    for line in lines.splitlines():
        dash, name, encoded = line.split(" ")
        raw = base64.b64decode(encoded, validate=True)
        public = keys.get((name, raw[:ID_BYTES]))
        if dash != "\u2014" or public is None:
            continue
        if not ed25519_holds(public, raw[ID_BYTES:], text.encode()):
            raise NotProvenError(f"the signature of `{name}` does not hold")
        signed = True
    if not signed:
        raise NotProvenError("none of your keys signed this head")
    origin, size, root = text.split("\n")[:3]
    return origin, int(size), base64.b64decode(root, validate=True)


# -- The two kinds of proof ------------------------------------------------------------------------------


def check_decision(proof: dict[str, object], keys: dict[tuple[str, bytes], bytes]) -> str:
    record, leaf = proof["record"], str(proof["leaf"])
    said = json.loads(leaf)["segment"]
    in_segment, in_tree = _path(proof["record_path"]), _path(proof["leaf_path"])
    hashed = bytes.fromhex(str(proof["record_hash"])) if record is None else leaf_hash(str(record).encode())
    root = root_by_inclusion(hashed, *in_segment)
    if (in_segment[1], root.hex()) != (said["records"], said["root"]):
        raise NotProvenError("the record is not in its segment")
    origin, size, head_root = head_of(str(proof["checkpoint"]), keys)
    if (in_tree[1], root_by_inclusion(leaf_hash(leaf.encode()), *in_tree)) != (size, head_root):
        raise NotProvenError("the segment is not under the signed head")
    place = f"{in_segment[0] + 1} of {said['segment']}, written down at {said['at']}, under head {size} of {origin}"
    if record is None:
        return f"proven: record {place}, has the hash {hashed.hex()}; it was pseudonymised, and what it said is gone"
    decision = json.loads(str(record))
    return f"proven: decision {decision['id']} ({decision.get('outcome')}, {decision.get('time')}) is record {place}"


def check_consistency(proof: dict[str, object], keys: dict[tuple[str, bytes], bytes]) -> str:
    older, newer = head_of(str(proof["older"]), keys), head_of(str(proof["newer"]), keys)
    path = [bytes.fromhex(node) for node in _list(proof["path"])]
    if older[0] != newer[0] or not consistent(older[1:], newer[1:], path):
        raise NotProvenError("the newer head does not continue the older one: history was changed")
    return f"proven: head {newer[1]} of {newer[0]} continues head {older[1]}; nothing before it was changed"


def _path(value: object) -> tuple[int, int, list[bytes]]:
    if not isinstance(value, dict):
        raise TypeError("a path is missing")
    return int(value["position"]), int(value["size"]), [bytes.fromhex(node) for node in _list(value["hashes"])]


def _list(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("a list of hashes is missing")
    return [str(entry) for entry in value]


def check(text: str, keys: dict[tuple[str, bytes], bytes]) -> str:
    if not text.startswith("{"):
        origin, size, root = head_of(text, keys)
        return f"signed: head {size} of {origin}, root {root.hex()}"
    proof = json.loads(text)
    return check_decision(proof, keys) if "record" in proof else check_consistency(proof, keys)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a proof of the decision log, offline.")
    parser.add_argument("--keys", required=True, help="file of the public keys that you trust")
    parser.add_argument("proof", help="proof of a decision, proof of consistency, or a signed head")
    options = parser.parse_args()
    try:
        keys = trusted_keys(Path(options.keys).read_text("utf-8"))
        print(check(Path(options.proof).read_text("utf-8"), keys))
    except NotProvenError as fault:
        print(f"NOT PROVEN: {fault}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError) as fault:
        print(f"cannot be used: {type(fault).__name__}: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
