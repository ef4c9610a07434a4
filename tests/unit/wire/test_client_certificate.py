from __future__ import annotations

import pytest

from pdp.errors import BadRequestError
from pdp.wire.client_certificate import MAX_LENGTH, certificate_sha256

H = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688"
OTHER = "0" * 64


def test_without_the_header_no_certificate_was_seen() -> None:
    assert certificate_sha256(None) is None


@pytest.mark.parametrize(
    "header",
    [
        f"Hash={H}",
        f"By=spiffe://a/b?c=d;Hash={H}",
        f'By=spiffe://a;Hash={H};Subject="";URI=spiffe://c',
        f'Hash={H};Subject="CN=d-1,OU=a;b\\"c"',
        f'Hash={H};Subject="/C=JP/CN=x;Hash={OTHER}"',
        f'Cert="-----BEGIN%20CERTIFICATE-----";Hash={H};DNS=a.example;DNS=b.example',
        f"hash={H}",
    ],
)
def test_the_hash_of_the_one_element_is_taken(header: str) -> None:
    assert certificate_sha256(header) == H


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Hash=",
        f"Hash={H[:-1]}",
        f"Hash={H.upper()}",
        f'Hash="{H}"',
        f"Hash={H};",
        f"Hash={H};;",
        f"Hash={H} ",
        f"Hash={H};Hash={H}",
        f"Hash={OTHER};hash={H}",
        f"Hash={OTHER},Hash={H}",
        f"By=a,Hash={H}",
        f"Hash={H},By=a",
        f'Subject="CN=x;Hash={H}"',
        f'Hash={H};Subject="open',
        f'Hash={H};Subject="a"b',
        f"Hash={H};Subject",
        f"Hash={H}\nHash={OTHER}",
        "By=spiffe://a",
        f"Hash={H};By=" + "a" * MAX_LENGTH,
    ],
)
def test_anything_but_one_element_with_one_hash_is_refused(header: str) -> None:
    with pytest.raises(BadRequestError, match="x-forwarded-client-cert") as refused:
        certificate_sha256(header)
    assert OTHER not in str(refused.value)
