from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pdp.errors import SettingsError
from pdp.parts import shared_key
from pdp.proof_parts import dpop_nonces, revocation_lists
from pdp.settings import Settings
from tests.certificates import Authority

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def test_nonces_are_asked_for_where_the_settings_say_so(tmp_path: Path) -> None:
    assert dpop_nonces(Settings(state_dir=str(tmp_path)), shared_key) is None
    workers = [dpop_nonces(Settings(state_dir=str(tmp_path), dpop_nonce_s=120), shared_key) for _ in range(2)]
    assert {worker.current(NOW) for worker in workers if worker} == {workers[0] and workers[0].current(NOW)}


def test_hosts_with_one_secret_have_one_nonce(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * 32)
    said = set()
    for host in ("a", "b"):
        chosen = Settings(
            state_dir=str(tmp_path / host), dpop_nonce_s=60, dpop_nonce_secret_file=str(tmp_path / "secret")
        )
        nonces = dpop_nonces(chosen, shared_key)
        assert nonces is not None
        said.add(nonces.current(NOW))
    assert len(said) == 1


@pytest.mark.parametrize("secret", [None, b"short"])
def test_a_secret_that_cannot_be_used_does_not_start(tmp_path: Path, secret: bytes | None) -> None:
    if secret is not None:
        (tmp_path / "secret").write_bytes(secret)
    chosen = Settings(state_dir=str(tmp_path), dpop_nonce_s=60, dpop_nonce_secret_file=str(tmp_path / "secret"))
    with pytest.raises(SettingsError, match="dpop_nonce_secret_file"):
        dpop_nonces(chosen, shared_key)


def test_lists_without_authorities_and_lists_that_are_not_there_do_not_start(tmp_path: Path) -> None:
    assert revocation_lists(Settings()) is None
    authority = Authority(tmp_path)
    place = str(authority.revocation_list("crl.pem"))
    with pytest.raises(SettingsError, match="tls_client_ca_file"):
        revocation_lists(Settings(tls_client_crl=place))
    with pytest.raises(SettingsError, match="cannot be read"):
        revocation_lists(Settings(tls_client_crl=f"{place}.gone", tls_client_ca_file=str(authority.certificate)))
    assert revocation_lists(Settings(tls_client_crl=place, grpc_client_ca_file=str(authority.certificate)))
