"""What a worker takes as the revision of record, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pdp.errors import BundleError, SettingsError
from pdp.revisions.files import bundle_of
from pdp.revisions.revision import Active
from pdp.revisions.statement import (
    MAX_SIGNATURES,
    Signature,
    TrustedKey,
    read_keys,
    read_signing_key,
    read_statement,
    statement_of,
    write_signatures,
)
from pdp.revisions.trust import RevisionRefusedError, Seen, judge
from tests.revision_files import NOW, WHY, key_pair, policy

BUNDLE = bundle_of(policy("2026.4"))
TEXT = BUNDLE.canonical


class Keys:
    def __init__(self, place: Path, kind: str = "Ed25519", name: str = "key") -> None:
        private, public = key_pair(kind)
        self.private, self.public = str(place / f"{name}.pem"), str(place / f"{name}.pub")
        Path(self.private).write_bytes(private)
        Path(self.public).write_bytes(public)
        self.own = read_signing_key(self.private)
        self.trusted = read_keys([self.public])


def active(keys: Keys | None = None, *, epoch: int = 7, **changes: Any) -> Active:
    said: dict[str, Any] = {
        "epoch": epoch,
        "number": 3,
        "name": BUNDLE.revision,
        "digest": BUNDLE.digest,
        "profile": "plain",
        "kind": "activate",
        "at": "2026-04-01T00:00:00.000000Z",
    }
    statement = statement_of(**{**said, **changes})
    signatures = [] if keys is None else [keys.own.sign(statement.text)]
    return Active(
        epoch=statement.epoch,
        number=statement.number,
        name=statement.name,
        digest=statement.digest,
        kind=statement.kind,
        at=NOW,
        by="caller:x",
        reason=WHY,
        statement=statement.text,
        signatures=write_signatures(signatures),
    )


def why(*arguments: Any, **named: Any) -> str:
    with pytest.raises(RevisionRefusedError) as refused:
        judge(*arguments, **named)
    return refused.value.why


@pytest.mark.parametrize("kind", ["Ed25519", "ES256"])
def test_what_a_trusted_key_signed_is_taken(tmp_path: Path, kind: str) -> None:
    keys = Keys(tmp_path, kind)
    assert judge(active(keys), TEXT, Seen(), keys.trusted).digest == BUNDLE.digest


def test_without_trusted_keys_no_signature_is_needed() -> None:
    assert judge(active(), TEXT, Seen(), ()).revision == "2026.4"


@pytest.mark.parametrize("kind", ["Ed25519", "ES256"])
def test_what_is_unsigned_signed_by_another_key_or_altered_is_refused(tmp_path: Path, kind: str) -> None:
    keys, other = Keys(tmp_path, kind), Keys(tmp_path, kind, "other")
    assert why(active(), TEXT, Seen(), keys.trusted) == "signature"
    assert why(active(other), TEXT, Seen(), keys.trusted) == "signature"
    moved = replace(active(epoch=8), signatures=active(keys, epoch=7).signatures)
    assert why(moved, TEXT, Seen(), keys.trusted) == "signature", "a signature for another epoch"
    relabelled = json.loads(active(keys).signatures)
    relabelled[0]["alg"] = "ES256" if kind == "Ed25519" else "Ed25519"
    assert why(replace(active(keys), signatures=json.dumps(relabelled)), TEXT, Seen(), keys.trusted) == "signature"


def test_while_keys_change_hands_either_signature_will_do(tmp_path: Path) -> None:
    old, new = Keys(tmp_path, "Ed25519", "old"), Keys(tmp_path, "ES256", "new")
    both = read_keys([old.public, new.public])
    assert judge(active(old), TEXT, Seen(), both)
    assert judge(active(new), TEXT, Seen(), both)
    assert why(active(old), TEXT, Seen(), new.trusted) == "signature", "when the old one has gone"
    text = active().statement
    two = write_signatures([old.own.sign(text), new.own.sign(text)])
    assert judge(replace(active(), signatures=two), TEXT, Seen(), new.trusted)


def test_several_keys_may_stand_in_one_file(tmp_path: Path) -> None:
    old, new = Keys(tmp_path, "Ed25519", "old"), Keys(tmp_path, "ES256", "new")
    joined = tmp_path / "both.pub"
    joined.write_bytes(Path(old.public).read_bytes() + Path(new.public).read_bytes())
    assert {key.id for key in read_keys([str(joined)])} == {old.trusted[0].id, new.trusted[0].id}


def test_an_old_activation_is_not_taken_again(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    assert why(active(keys, epoch=7), TEXT, Seen(8, "f" * 64), keys.trusted) == "replayed"
    assert judge(active(keys, epoch=8), TEXT, Seen(8, BUNDLE.digest), keys.trusted)
    assert why(active(keys, epoch=8), TEXT, Seen(8, "f" * 64), keys.trusted) == "replayed", "one epoch, two policies"


def test_a_text_that_is_cut_off_or_another_one_is_refused() -> None:
    assert why(active(), TEXT[:-1], Seen(), ()) == "damaged"
    assert why(active(), b"", Seen(), ()) == "damaged"
    assert why(active(), bundle_of(policy("other")).canonical, Seen(), ()) == "damaged"
    nonsense = b"{}"
    assert why(active(digest=sha256(nonsense).hexdigest()), nonsense, Seen(), ()) == "damaged"
    assert why(active(name="another name"), TEXT, Seen(), ()) == "damaged"
    assert why(active(profile="zta"), TEXT, Seen(), ()) == "damaged"
    assert why(active(), TEXT, Seen(), (), "zta") == "profile"


def test_a_row_that_says_something_else_than_its_statement_is_refused() -> None:
    for changed in ({"epoch": 9}, {"digest": "a" * 64}, {"number": 4}, {"name": "x"}, {"kind": "rollback"}):
        assert why(replace(active(), **changed), TEXT, Seen(), ()) == "statement"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "{}",
        "[]",
        "null",
        active().statement + " ",
        active().statement.replace("plain", "other"),
        '{"epoch":1,"epoch":7}',
    ],
)
def test_what_is_no_statement_in_its_one_form_is_refused(statement: str) -> None:
    assert why(replace(active(), statement=statement), TEXT, Seen(), ()) == "statement"


@given(some.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_never_raise_anything_else(data: bytes) -> None:
    text = data.decode("latin-1")
    with pytest.raises(RevisionRefusedError):
        judge(replace(active(), statement=text), TEXT, Seen(), ())
    with pytest.raises(RevisionRefusedError):
        judge(active(), data, Seen(), ())


@given(some.integers(0, len(active().statement) - 1), some.characters())
def test_no_changed_character_of_a_signed_statement_is_taken(place: int, letter: str) -> None:
    keys = _memory_keys()
    good = active()
    signed = write_signatures([keys[0].sign(good.statement)])
    changed = good.statement[:place] + letter + good.statement[place + 1 :]
    if changed == good.statement:
        return
    with pytest.raises(RevisionRefusedError):
        judge(replace(good, statement=changed, signatures=signed), TEXT, Seen(), keys[1])


_MEMORY: list[Any] = []


def _memory_keys() -> Any:
    if not _MEMORY:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from pdp.revisions.statement import SigningKey

        private = Ed25519PrivateKey.generate()
        trusted = TrustedKey("0123456789abcdef", private.public_key())
        _MEMORY.extend((SigningKey(trusted, private), (trusted,)))
    return _MEMORY


def test_a_list_of_signatures_without_end_is_refused() -> None:
    many = write_signatures([Signature("x", "Ed25519", "AA")] * (MAX_SIGNATURES + 1))
    assert why(replace(active(), signatures=many), TEXT, Seen(), ()) == "statement"
    assert why(replace(active(), signatures="nonsense"), TEXT, Seen(), ()) == "statement"


def test_keys_of_other_kinds_and_files_without_any_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = generate_private_key(SECP384R1())
    (tmp_path / "p384.pub").write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "p384").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "empty").write_text("nothing")
    for name in ("p384.pub", "empty", "absent"):
        with pytest.raises(SettingsError):
            read_keys([str(tmp_path / name)])
    for name in ("p384", "empty", "absent"):
        with pytest.raises(SettingsError):
            read_signing_key(str(tmp_path / name))


def test_a_statement_is_written_in_one_way_only() -> None:
    assert read_statement(active().statement).epoch == 7
    with pytest.raises(BundleError):
        read_statement(json.dumps(json.loads(active().statement)))
