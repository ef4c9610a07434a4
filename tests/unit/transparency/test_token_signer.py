"""A key in a device: SoftHSM, which is a device in a file, over the same library interface as a real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pdp.errors import SettingsError
from pdp.model.log_token import TokenKey
from pdp.transparency.note import parse_note, signed
from pdp.transparency.token_signer import TokenSigner
from tests.softhsm import ORIGIN, PIN, SoftHsm, soft_hsm

__all__ = ["soft_hsm"]


def test_what_the_device_signs_is_a_note_that_its_public_key_verifies(soft_hsm: SoftHsm):
    signer = soft_hsm.signer("log")
    note = parse_note(str(signed("a log\n1\nAAAA\n", [signer])))
    assert note is not None
    assert note.signers([signer.key]) == (signer.key,)
    assert signer.key.name == ORIGIN
    signer.close()
    signer.close()


def test_a_session_that_the_device_has_ended_is_opened_anew(soft_hsm: SoftHsm):
    signer = soft_hsm.signer("log")
    key = signer.key
    signer.sign(b"1")
    signer._session.close()  # as a device does that restarts
    assert len(signer.sign(b"2")) == 64
    assert signer.key == key
    signer.close()


def test_two_keys_of_one_token_sign_in_one_process(soft_hsm: SoftHsm):
    first, second = soft_hsm.signer("log"), soft_hsm.signer("next")
    for _ in range(2):
        assert first.key.verifies(first.sign(b"x"), "x")
        assert second.key.verifies(second.sign(b"x"), "x")
        first.close()  # logs out for both
    second.close()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"token": "other"}, "no device holds"),
        ({"key": "other"}, "holds no Ed25519 key `other`"),
        ({"pin_file": "/nowhere"}, "cannot be read"),
        ({"pin": "9999"}, "refuses the PIN"),
        ({"pin": ""}, "holds no PIN"),
    ],
)
def test_what_is_not_as_the_settings_say_is_told(
    soft_hsm: SoftHsm, tmp_path: Path, changed: dict[str, str], words: str
):
    (tmp_path / "pin").write_text(changed.pop("pin", PIN))
    values = {"module": str(soft_hsm.module), "token": "sekisho", "key": "log", "pin_file": str(tmp_path / "pin")}
    where = TokenKey(**{**values, **changed})
    with pytest.raises(SettingsError, match=words):
        TokenSigner(where, where.key, ORIGIN).sign(b"")


def test_a_library_that_is_none_is_an_error_of_the_device(tmp_path: Path):
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "none.so").write_text("no library")
    where = TokenKey(module=str(tmp_path / "none.so"), token="t", key="k", pin_file=str(tmp_path / "pin"))
    with pytest.raises(OSError, match="does not answer"):
        TokenSigner(where, "k", ORIGIN).sign(b"")


def test_the_whole_log_is_signed_by_the_device_and_a_new_key_is_signed_for_by_the_old_one(
    soft_hsm: SoftHsm, tmp_path: Path
):
    """In processes of their own, as the service does it: `pdp audit checkpoint` with a key, then with the next."""
    from tests.unit.declog.logs import sealed_segment

    sealed_segment(tmp_path / "var" / "decisions")
    for lock in ("start.lock", "local.w0.lock"):
        (tmp_path / "var" / "decisions" / "locks" / lock).touch()
    (tmp_path / "pin").write_text(PIN)
    pdp = [str(Path(sys.executable).parent / "pdp"), "audit"]
    for key, previous in (("log", ""), ("next", "log")):
        (tmp_path / "pdp.toml").write_text(
            f'node = "local"\nstate_dir = "{tmp_path / "var"}"\n[log_key_token]\nmodule = "{soft_hsm.module}"\n'
            f'token = "sekisho"\nkey = "{key}"\nprevious_key = "{previous}"\npin_file = "{tmp_path / "pin"}"\n'
        )
        said = [
            subprocess.run([*pdp, command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
            for command in ("checkpoint", "verify", "keys")
        ]
        assert [one.returncode for one in said] == [0, 0, 0], said
    assert len(said[-1].stdout.splitlines()) == 2
    assert not (tmp_path / "var" / "log-signing.pem").exists()
