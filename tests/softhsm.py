"""A SoftHSM token in a directory of its own, with two Ed25519 keys. Skips, saying what to install, where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pdp.model.log_token import TokenKey
from pdp.transparency.token_signer import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterator

PIN: Final = "4711"
ORIGIN: Final = "example.jp/log/local"
_TREE: Final = Path(__file__).parents[1] / ".tools" / "softhsm"


@dataclass(frozen=True)
class SoftHsm:
    module: Path
    pin_file: Path

    def signer(self, label: str) -> TokenSigner:
        where = TokenKey(module=str(self.module), token="sekisho", key=label, pin_file=str(self.pin_file))
        return TokenSigner(where, label, ORIGIN)


@pytest.fixture(scope="module")
def soft_hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    root = tmp_path_factory.mktemp("hsm")
    tool, module = _program(), _module()
    (root / "tokens").mkdir()
    (root / "pin").write_text(PIN)
    (root / "conf").write_text(
        f"directories.tokendir = {root / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(
        root / "conf"
    )  # the library reads it, in this process and in those of the service
    try:
        subprocess.run(
            [tool, "--module", str(module), "--init-token", "--free", "--label", "sekisho", "--pin", PIN, "--so-pin", PIN],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        _make_keys(module)
        yield SoftHsm(module, root / "pin")
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


def _make_keys(module: Path) -> None:
    import pkcs11
    from pkcs11 import Attribute, KeyType, Mechanism

    ed25519 = b"\x06\x03\x2b\x65\x70"  # 1.3.101.112 (RFC 8410)
    library = pkcs11.lib(str(module))
    library.reinitialize()  # it may have read another configuration, or the tokens before this one was made
    with library.get_token(token_label="sekisho").open(rw=True, user_pin=PIN) as session:
        for label in ("log", "next"):
            parameters = session.create_domain_parameters(
                KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: ed25519}, local=True
            )
            parameters.generate_keypair(mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, label=label, store=True)


def _program() -> str:
    found = shutil.which("softhsm2-util", path=str(_TREE.parent / "bin")) or shutil.which("softhsm2-util")
    if found is None:
        pytest.skip("no `softhsm2-util`: install it with `make tools`, or the package softhsm2")
    return found


def _module() -> Path:
    for root in (_TREE, Path("/")):
        for place in ("usr/lib/softhsm", "usr/lib/x86_64-linux-gnu/softhsm", "usr/lib/aarch64-linux-gnu/softhsm"):
            path = root / place / "libsofthsm2.so"
            if path.exists():
                return path.resolve()
    pytest.skip("no `libsofthsm2.so`: install it with `make tools`, or the package softhsm2")
