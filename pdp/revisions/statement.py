"""What makes a revision the one of record: a statement with its epoch, and signatures over it. Pure but for key files.

The statement is one canonical JSON object:

    {"at", "digest", "epoch", "kind", "name", "number", "profile", "schema": "sekisho.activation/v1"}

with `"warn": {"former", "until"}` where new refusals do not count until then (`pdp.grace`; a worker that does not know
the member refuses the statement),
and what is signed are its bytes after a line that names the schema, so that a signature made for anything else never
counts here. Keys are Ed25519 (RFC 8032) or ECDSA P-256 with SHA-256 (ES256, RFC 7518 section 3.4: r and s, 32 bytes
each). A key's id is the first 16 hex digits of the SHA-256 of its SubjectPublicKeyInfo.

INVARIANT (no replay): the epoch is signed, and a worker takes none below one that it has seen (`pdp.revisions.trust`).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pdp.errors import BadRequestError, BundleError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.revisions.revision import ActivationKind

SCHEMA: Final = "sekisho.activation/v1"
MAX_KEYS: Final = 16
MAX_SIGNATURES: Final = 8  # one; two while keys change hands
_MAX_KEY_FILE: Final = 16_384
_COORDINATE: Final = 32  # bytes of r and of s
_KEY_ID_DIGITS: Final = 16

Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


class Warn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Until `until` (UTC, whole seconds) the permissions of the policy with the digest `former` go on counting."""

    former: Hex64
    until: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]

    @property
    def end(self) -> datetime:
        """Aware. Raises BundleError for a time that there is not."""
        try:
            return datetime.fromisoformat(self.until)
        except ValueError:
            raise BundleError("the statement's time of warning ends at no time") from None


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `at` on, revision `number` (called `name`, of this digest) is the one of record, as number `epoch`."""

    schema: Literal["sekisho.activation/v1"] = SCHEMA
    epoch: Annotated[int, msgspec.Meta(ge=1, le=(1 << 62))]
    number: Annotated[int, msgspec.Meta(ge=1)]
    name: str
    digest: Hex64
    profile: Literal["zta", "plain"]
    kind: Literal["activate", "rollback", "scheduled", "emergency"]
    at: str
    warn: Warn | msgspec.UnsetType = msgspec.UNSET

    @property
    def warning(self) -> Warn | None:
        return None if self.warn is msgspec.UNSET else self.warn

    @property
    def text(self) -> str:
        """Canonical: equal statements, equal bytes."""
        return json.dumps(msgspec.to_builtins(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`key` is the id of the key, `value` base64url without padding."""

    key: str
    alg: Literal["Ed25519", "ES256"]
    value: str


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key that may say what is of record."""

    id: str
    key: PublicKey

    @property
    def alg(self) -> Literal["Ed25519", "ES256"]:
        return "Ed25519" if isinstance(self.key, Ed25519PublicKey) else "ES256"

    def verifies(self, signature: Signature, text: str, purpose: str = SCHEMA) -> bool:
        """Whether this key made the signature for this purpose, by its own algorithm and no other."""
        raw = _decoded(signature.value)
        if signature.key != self.id or signature.alg != self.alg or raw is None:
            return False
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(raw, _signed(text, purpose))
            elif len(raw) != 2 * _COORDINATE:
                return False
            else:
                r, s = int.from_bytes(raw[:_COORDINATE]), int.from_bytes(raw[_COORDINATE:])
                self.key.verify(encode_dss_signature(r, s), _signed(text, purpose), ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that is here, in a file."""

    trusted: TrustedKey
    private: Ed25519PrivateKey | EllipticCurvePrivateKey

    def sign(self, text: str, purpose: str = SCHEMA) -> Signature:
        """A signature of a text of this purpose (the name of its schema), which is worth nothing for any other."""
        raw = self.sign_raw(_signed(text, purpose))
        return Signature(self.trusted.id, self.trusted.alg, urlsafe_b64encode(raw).rstrip(b"=").decode())

    def sign_raw(self, data: bytes) -> bytes:
        """64 bytes, as a JWS has them. What is signed says itself what it is for."""
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(data)
        r, s = decode_dss_signature(self.private.sign(data, ECDSA(SHA256())))
        return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)


def statement_of(  # noqa: PLR0913  # what a statement says, each by its name
    *,
    epoch: int,
    number: int,
    name: str,
    digest: str,
    profile: str,
    kind: ActivationKind,
    at: str,
    warn: Warn | None = None,
) -> Statement:
    """Raises BadRequestError where it could not be one."""
    said = {"epoch": epoch, "number": number, "name": name, "digest": digest, "profile": profile}
    more = {} if warn is None else {"warn": warn}
    try:
        return msgspec.convert({**said, "kind": kind, "at": at, **more}, Statement)
    except msgspec.ValidationError as fault:
        raise BadRequestError(f"no statement can be made of this: {fault}") from None


def read_statement(text: str) -> Statement:
    """Raises BundleError for anything but the canonical text of a statement."""
    try:
        found = msgspec.json.decode(text, type=Statement)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as fault:
        raise BundleError(f"not a statement of what is of record: {fault}") from None
    if found.text != text:
        raise BundleError("the statement of what is of record is not in its canonical form")
    return found


def read_signatures(text: str) -> tuple[Signature, ...]:
    """Raises BundleError for anything but a short list of signatures."""
    try:
        found = msgspec.json.decode(text, type=list[Signature])
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as fault:
        raise BundleError(f"not a list of signatures: {fault}") from None
    if len(found) > MAX_SIGNATURES:
        raise BundleError(f"more than {MAX_SIGNATURES} signatures")
    return tuple(found)


def write_signatures(signatures: Iterable[Signature]) -> str:
    return msgspec.json.encode(list(signatures)).decode()


def signer_of(
    text: str, signatures: Iterable[Signature], keys: Iterable[TrustedKey], purpose: str = SCHEMA
) -> str | None:
    """The id of a trusted key that signed this text; None where none did."""
    known = {key.id: key for key in keys}
    for signature in signatures:
        key = known.get(signature.key)
        if key is not None and key.verifies(signature, text, purpose):
            return key.id
    return None


def read_keys(files: Iterable[str]) -> tuple[TrustedKey, ...]:
    """The public keys of these PEM files, one or several in each. Raises SettingsError where one cannot be read."""
    found: dict[str, TrustedKey] = {}
    for name in files:
        for block in _blocks(name):
            key = _public(block, name)
            found[key.id] = key
    if len(found) > MAX_KEYS:
        raise SettingsError(f"`bundle_keys` holds more than {MAX_KEYS} keys")
    return tuple(found.values())


def read_signing_key(file: str) -> SigningKey:
    """The private key of a PEM file without a password. Raises SettingsError."""
    try:
        private = load_pem_private_key(_content(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("the key that signs revisions is no PEM file of a key without a password") from None
    if isinstance(private, Ed25519PrivateKey) or (
        isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1)
    ):
        return SigningKey(_trusted(private.public_key()), private)
    raise SettingsError("the key that signs revisions is neither Ed25519 nor P-256")


def _blocks(name: str) -> list[bytes]:
    begin = b"-----BEGIN PUBLIC KEY-----"
    parts = _content(name).split(begin)[1:]
    if not parts:
        raise SettingsError("`bundle_keys` names a file without a public key (PEM, `BEGIN PUBLIC KEY`)")
    return [begin + part for part in parts]


def _public(block: bytes, name: str) -> TrustedKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"`bundle_keys`: a key in `{Path(name).name}` cannot be read") from None
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    ):
        return _trusted(key)
    raise SettingsError(f"`bundle_keys`: a key in `{Path(name).name}` is neither Ed25519 nor P-256")


def _trusted(key: PublicKey) -> TrustedKey:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TrustedKey(sha256(spki).hexdigest()[:_KEY_ID_DIGITS], key)


def _content(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(_MAX_KEY_FILE)
    except OSError as fault:
        raise SettingsError(f"the key file `{Path(name).name}` cannot be read: {fault.strerror}") from None


def _signed(text: str, purpose: str) -> bytes:
    return f"{purpose}\n{text}".encode()


def _decoded(value: str) -> bytes | None:
    try:
        raw = urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (Base64Error, ValueError):
        return None
    # One spelling only: bits that nobody reads are not somebody's to choose.
    return raw if urlsafe_b64encode(raw).rstrip(b"=").decode() == value else None
