from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pdp.errors import BadRequestError
from pdp.wire.device_certificate import MAX_CERTIFICATE, asserted_certificate
from tests.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificates import Credential


@pytest.fixture
def terminal(tmp_path: Path) -> Credential:
    return Authority(tmp_path).issue("terminal", "terminal")


def pem(credential: Credential) -> str:
    return credential.certificate.read_text(encoding="ascii")


def bare(credential: Credential) -> str:
    return "".join(pem(credential).split("-----")[2].split())


def test_every_word_names_the_same_certificate(terminal: Credential) -> None:
    words = {
        "x-forwarded-client-cert": f'Hash={terminal.sha256};Subject="CN=x"',
        "x-pdp-certificate-sha256": terminal.sha256.upper(),
        "x-pdp-certificate": quote(pem(terminal), safe=""),
    }
    for name, value in words.items():
        assert asserted_certificate({name: value}) == terminal.sha256
    assert asserted_certificate(words) == terminal.sha256
    assert asserted_certificate({"x-pdp-certificate": bare(terminal)}) == terminal.sha256
    assert asserted_certificate({"x-pdp-certificate": quote(bare(terminal), safe="")}) == terminal.sha256
    assert asserted_certificate({}) is None


def test_two_words_for_two_certificates_are_refused(terminal: Credential) -> None:
    with pytest.raises(BadRequestError, match="two different"):
        asserted_certificate({"x-pdp-certificate": bare(terminal), "x-pdp-certificate-sha256": "0" * 64})


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "g" * 64, " " + "0" * 63, "0" * 64 + "\n"])
def test_a_digest_is_64_hexadecimal_digits(digest: str) -> None:
    with pytest.raises(BadRequestError, match="64 hexadecimal"):
        asserted_certificate({"x-pdp-certificate-sha256": digest})


def test_what_is_not_exactly_one_certificate_is_refused(terminal: Credential) -> None:
    whole, der = pem(terminal), base64.b64decode(bare(terminal))
    wrong = (
        "",
        "(null)",
        "%",
        quote(whole + whole),
        bare(terminal) + "," + bare(terminal),
        bare(terminal)[:-4],
        bare(terminal) + "AAAA",
        base64.b64encode(der + b"\0").decode(),
        base64.b64encode(der[:-1]).decode(),
        base64.b64encode(b"\x30\x03abc").decode(),
        whole.replace("CERTIFICATE", "PUBLIC KEY"),
        quote("garbage" + whole),
        "A" * (MAX_CERTIFICATE + 1),
        "日本",
    )
    for value in wrong:
        with pytest.raises(BadRequestError, match="not one certificate"):
            asserted_certificate({"x-pdp-certificate": value})
