"""What a certificate binds together, and who stands behind it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pdp import __version__
from pdp.errors import ExportError
from pdp.export.checking import CERTIFICATE, Inputs, mapping_digest
from pdp.export.exporting import SIGNATURES, export, signer, verify
from pdp.export.matrix import MatrixTarget
from pdp.export.population import digest_of
from pdp.model.directory import Device, Period, Permit, PostureReport, User, snapshot_of
from pdp.revisions.statement import SigningKey, TrustedKey, read_keys, read_signing_key
from tests.revision_files import key_pair
from tests.spaces import DAY, shipped_model, shipped_space

MAPPING = mapping_digest({"b": [1, True], "a": "関所"})


def keys_in(folder: Path, kind: str = "Ed25519") -> tuple[SigningKey, tuple[TrustedKey, ...]]:
    private, public = key_pair(kind)
    (folder / "key.pem").write_bytes(private)
    (folder / "public.pem").write_bytes(public)
    return read_signing_key(str(folder / "key.pem")), read_keys([str(folder / "public.pem")])


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], tuple[TrustedKey, ...]]:
    key, keys = keys_in(tmp_path_factory.mktemp("keys"))
    inputs = Inputs(MAPPING, "0" * 64)
    finished = export(shipped_space(), shipped_model(), MatrixTarget(), inputs=inputs, key=key)
    again = export(shipped_space(), shipped_model(), MatrixTarget(), inputs=inputs, key=key)
    assert dict(again.files) == dict(finished.files)  # Ed25519 signs alike
    return dict(finished.files), keys


def test_the_certificate_holds_the_mapping_the_directory_and_the_tool(
    signed: tuple[dict[str, bytes], tuple[TrustedKey, ...]],
) -> None:
    files, _ = signed
    certificate, _ = verify(shipped_space(), MatrixTarget(), files, mapping_sha256=MAPPING)
    assert certificate.mapping_sha256 == MAPPING == mapping_digest({"a": "関所", "b": [1, True]})
    assert certificate.directory_sha256 == "0" * 64
    assert certificate.tool == f"sekisho {__version__}"
    assert certificate.policy_digest == shipped_space().bundle.digest
    with pytest.raises(ExportError, match="another mapping"):
        verify(shipped_space(), MatrixTarget(), files, mapping_sha256=mapping_digest({}))


def test_a_signed_certificate_names_its_signer(signed: tuple[dict[str, bytes], tuple[TrustedKey, ...]]) -> None:
    files, keys = signed
    assert signer(files, keys) == keys[0].id
    assert signer(files, ()) is None


def test_a_certificate_that_was_rewritten_with_its_files_is_not_signed(
    signed: tuple[dict[str, bytes], tuple[TrustedKey, ...]], tmp_path: Path
) -> None:
    files, keys = signed
    held = msgspec.json.decode(files[CERTIFICATE])
    rewritten = msgspec.json.encode({**held, "gap": "1"})
    with pytest.raises(ExportError, match="none of the known keys"):
        signer({**files, CERTIFICATE: rewritten}, keys)
    with pytest.raises(ExportError, match="by nobody"):
        signer({name: text for name, text in files.items() if name != SIGNATURES}, keys)
    with pytest.raises(ExportError, match="cannot be read"):
        signer({**files, SIGNATURES: b"\xff"}, keys)
    _, others = keys_in(tmp_path)
    with pytest.raises(ExportError, match="none of the known keys"):
        signer(files, others)


def test_a_signature_over_an_activation_is_no_signature_over_a_certificate(
    signed: tuple[dict[str, bytes], tuple[TrustedKey, ...]], tmp_path: Path
) -> None:
    """Attack: have the policy's key sign the text of a certificate as if it were something else."""
    files, _ = signed
    key, keys = keys_in(tmp_path)
    wrong = msgspec.json.encode([key.sign(files[CERTIFICATE].decode())])
    with pytest.raises(ExportError, match="none of the known keys"):
        signer({**files, SIGNATURES: wrong}, keys)


def test_a_p256_key_signs_as_well(tmp_path: Path) -> None:
    key, keys = keys_in(tmp_path, "P-256")
    finished = export(shipped_space(), shipped_model(), MatrixTarget(), key=key)
    assert signer(finished.files, keys) == key.trusted.id


def test_the_digest_of_a_directory_follows_its_people_and_devices_and_not_their_posture() -> None:
    user, device = User("u-1", "staff"), Device("d-1", "managed_pc", owner="u-1")
    plain = digest_of(snapshot_of(epoch=1, users=[user], devices=[device]))
    seen = replace(device, posture=PostureReport(observed_at=DAY, source="hip"))
    assert digest_of(snapshot_of(epoch=7, users=[user], devices=[seen], loaded_at=DAY)) == plain
    permit = Permit("d-1", "u-1", Period(DAY, DAY + timedelta(days=1)))
    for other in (
        snapshot_of(epoch=1, users=[replace(user, roles=("data_user",))], devices=[device]),
        snapshot_of(epoch=1, users=[user], devices=[replace(device, state="lost")]),
        snapshot_of(epoch=1, users=[user], devices=[device], permits=[permit]),
    ):
        assert digest_of(other) != plain
