"""A bundle as OPA reads it: gzipped tar with `.manifest`, modules, `data.json` and `.signatures.json`. Pure.

Equal policies give equal bytes: names in order, no times, no owners. The signature is OPA's own: a JWT (RFC 7515) whose
payload names every file with its SHA-256. JSON files are hashed in a canonical form, keys in order and no blanks, so
the very bytes of the archive may differ. Source: openpolicyagent.org, docs/management-bundles, "Signing".
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.revisions.statement import SigningKey

MANIFEST: Final = ".manifest"
SIGNATURES: Final = ".signatures.json"
DATA: Final = "data.json"
KEY_ID: Final = "sekisho"  # under which an OPA's configuration names the public key
ALGORITHM: Final = "ES256"


@dataclass(frozen=True, slots=True)
class Packed:
    """`etag` is quoted, as the header has it."""

    body: bytes
    etag: str
    revision: str


def pack(bundle: Bundle, key: SigningKey | None) -> Packed:
    """What decides, without its tests; signed by a P-256 key alone, because OPA verifies no Ed25519. Blocks shortly."""
    if key is not None and key.trusted.alg != ALGORITHM:
        key = None
    files = {
        MANIFEST: _canonical(dict(bundle.manifest)),
        DATA: _canonical(dict(bundle.data)),
        **{name: text.encode() for name, text in bundle.modules.items()},
    }
    unsigned = sha256(b"".join(_entry(name, text) for name, text in sorted(files.items()))).hexdigest()
    signed = files if key is None else {**files, SIGNATURES: _signatures(files, key)}
    # An ECDSA signature is another one each time: the tag is of what is signed, and of who signs.
    tag = unsigned if key is None else sha256(f"{unsigned} {key.trusted.id}".encode()).hexdigest()
    return Packed(_tar(signed), f'"{tag}"', bundle.revision)


def _signatures(files: dict[str, bytes], key: SigningKey) -> bytes:
    listed = [
        {"name": name, "hash": sha256(text).hexdigest(), "algorithm": "SHA-256"} for name, text in sorted(files.items())
    ]
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": KEY_ID}
    signing = b".".join(_b64(_canonical(part)) for part in (header, {"files": listed, "keyid": KEY_ID}))
    token = b".".join((signing, _b64(key.sign_raw(signing))))
    return _canonical({"signatures": [token.decode()]})


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _b64(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _entry(name: str, text: bytes) -> bytes:
    return f"{len(name)} {name} {len(text)} ".encode() + text


def _tar(files: dict[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in sorted(files.items()):
            entry = tarfile.TarInfo(f"/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return gzip.compress(plain.getvalue(), mtime=0)
