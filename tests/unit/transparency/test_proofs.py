from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pdp.declog.layout import Layout
from pdp.errors import BadRequestError, NotReadyError, RecordDamagedError
from pdp.transparency.anchored import anchored_notes
from pdp.transparency.proofs import Place, prove, prove_consistency
from tests.unit.declog.logs import ids, lines, writer_at
from tests.unit.transparency.notaries import notary_at, signed_log

SCRIPT = Path(__file__).resolve().parents[3] / "tools" / "verify_decision.py"
COVERED = [*ids(5), *ids(5, 10), *ids(4, 40), *ids(4, 50)]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    signed_log(tmp_path / "log", tmp_path / "anchor")
    return tmp_path


def run(world: Path, content: object, *, keys: str | None = None) -> subprocess.CompletedProcess[str]:
    """The script by itself: another directory, no site packages, nothing of ours on its path."""
    file = world / "proof.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False))
    key_file = world / "keys"
    key_file.write_text(keys if keys is not None else (world / "log/proof/local.keys").read_text())
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), "--keys", str(key_file), str(file)],
        capture_output=True, text=True, check=False, cwd=world, timeout=60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def script():
    """The script as a module, for what would take too many processes."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("verify_decision", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def proof_of(world: Path, decision_id: str) -> dict[str, object]:
    return prove(Layout(world / "log"), decision_id, everywhere=True)  # the ids are all of one moment


def notes(world: Path) -> list[str]:
    return [note for _, note in anchored_notes(world / "anchor") if note is not None]


def test_a_decision_is_proven_offline_by_the_script_alone(world: Path):
    proof = proof_of(world, ids(1, 11)[0])
    result = run(world, proof)
    assert result.returncode == 0, result.stderr
    assert ids(1, 11)[0] in result.stdout


def test_each_covered_decision_is_proven(world: Path, script):
    keys = script.trusted_keys((world / "log/proof/local.keys").read_text())
    for decision_id in COVERED:
        assert decision_id in script.check(json.dumps(proof_of(world, decision_id)), keys)


def test_a_proof_is_not_taken_under_another_key(world: Path):
    proof = proof_of(world, ids(1)[0])
    other = "example.jp/log/local+" + "x"
    assert run(world, proof, keys="").returncode == 1
    assert run(world, proof, keys=other).returncode == 2


def test_no_changed_letter_of_a_proof_is_proven(world: Path, script):
    keys = script.trusted_keys((world / "log/proof/local.keys").read_text())
    proof = proof_of(world, ids(1, 12)[0])
    proof.pop("keys")  # for the reader's convenience; the auditor brings his own
    proof.pop("schema")
    text = json.dumps(proof, ensure_ascii=False)
    said = script.check(text, keys)
    for at in range(0, len(text), 3):
        changed = text[:at] + ("7" if text[at] != "7" else "8") + text[at + 1 :]
        try:
            now = script.check(changed, keys)
        except (script.NotProvenError, ValueError, KeyError, TypeError, AttributeError):
            continue
        assert now == said  # only the words of the file around the proof, as the name of an unread key
        assert json.loads(changed)["record"] == proof["record"]
        assert json.loads(changed)["leaf"] == proof["leaf"]


def test_one_head_continues_another_and_the_script_agrees(world: Path, script):
    known = notes(world)
    keys = script.trusted_keys((world / "log/proof/local.keys").read_text())
    for older in known[:-1]:
        assert "continues" in script.check(json.dumps(prove_consistency(world / "log", older, known[-1])), keys)
    result = run(world, prove_consistency(world / "log", known[0], known[-1]))
    assert result.returncode == 0, result.stderr
    between = prove_consistency(world / "log", known[1], known[-1])
    between["path"][0] = "00" * 32
    refused = run(world, between)
    assert refused.returncode == 1
    assert "history was changed" in refused.stderr


def test_the_script_checks_the_signature_on_a_head_from_an_anchor(world: Path):
    note = notes(world)[-1]
    assert run(world, note).returncode == 0
    assert run(world, note.replace("\n2", "\n3", 1) if "\n2" in note else note.replace("\n1", "\n3", 1)).returncode == 1


def test_heads_of_different_logs_or_in_the_wrong_order_are_refused(world: Path):
    known = notes(world)
    with pytest.raises(BadRequestError, match="older and a newer"):
        prove_consistency(world / "log", known[-1], known[0])
    with pytest.raises(BadRequestError, match="not a signed checkpoint"):
        prove_consistency(world / "log", "nothing", known[0])


def test_a_record_that_no_head_covers_yet_has_no_proof_yet(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(1))
    notary_at(tmp_path).turn()
    writer.commit(lines(1, 1))
    assert prove(Layout(tmp_path), ids(1)[0])["record_path"]["size"] == 1
    with pytest.raises(NotReadyError, match="no signed head"):
        prove(Layout(tmp_path), ids(1, 1)[0])
    with pytest.raises(BadRequestError, match="no record"):
        prove(Layout(tmp_path), ids(1, 2)[0])


def test_of_several_records_of_one_id_that_differ_none_is_proven_until_one_is_named(tmp_path: Path):
    """Whoever pushes decisions chooses their ids: the proof of one must not be taken for that of another."""
    for worker, note in (("w0", "ours"), ("w1", "theirs")):
        writer = writer_at(tmp_path, worker=worker)
        writer.open()
        writer.commit([*lines(2), *lines(1, 7, note)])
    notary_at(tmp_path).turn()
    (wanted,) = ids(1, 7)
    with pytest.raises(BadRequestError, match="2 records that differ") as refused:
        prove(Layout(tmp_path), wanted)
    first, second = Layout(tmp_path).names()
    for name, note in ((first, "ours"), (second, "theirs")):
        assert f"--segment {name} --seq 3" in refused.value.next_step
        proof = prove(Layout(tmp_path), wanted, only=Place(str(name), 3))
        assert json.loads(proof["record"])["note"] == note
    with pytest.raises(BadRequestError, match="no record"):
        prove(Layout(tmp_path), wanted, only=Place(str(first), 2))
    assert prove(Layout(tmp_path), ids(1)[0]), "the same bytes twice are one record"


def test_a_log_that_was_rewritten_gives_no_proof(world: Path):
    name = Layout(world / "log").names()[0]
    path = Layout(world / "log").sealed_path(name)
    path.write_bytes(path.read_bytes().replace(b'"note":""', b'"note":"x"', 1))
    with pytest.raises(RecordDamagedError):
        prove(Layout(world / "log"), ids(1, 3)[0])


def test_the_scripts_ed25519_agrees_with_a_library_on_good_and_bad_signatures(script):
    for number in range(12):
        private = Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)
        public, message = private.public_key().public_bytes_raw(), bytes(number * 7)
        signature = private.sign(message)
        cases = [(public, signature, message), (public, signature, message + b"x"), (bytes(32), signature, message)]
        cases += [
            (public, signature[:at] + bytes([signature[at] ^ 4]) + signature[at + 1 :], message)
            for at in (0, 31, 32, 63)
        ]
        s = int.from_bytes(signature[32:], "little") + script.L  # the same residue: malleable where it is not refused
        cases.append((public, signature[:32] + s.to_bytes(32, "little"), message))
        for case in cases:
            assert script.ed25519_holds(*case) == _library(*case)


def _library(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    ("public", "message", "signature"),
    [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
)
def test_the_scripts_ed25519_takes_the_vectors_of_rfc_8032(script, public: str, message: str, signature: str):
    assert script.ed25519_holds(*(bytes.fromhex(text) for text in (public, signature, message)))
