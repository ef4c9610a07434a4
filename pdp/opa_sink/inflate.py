"""A body's content coding, undone within a bound: a gzip bomb costs the bound and no more."""

from __future__ import annotations

import zlib
from typing import Final

from pdp.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaError

_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's way to say: a gzip header is wanted


def plain_body(body: bytes, coding: str | None, *, most: int) -> bytes:
    """The body as it was before `Content-Encoding`.

    Raises PayloadTooLargeError above `most` bytes, BadRequestError for a body that is not what it says or is cut
    short, UnsupportedMediaError for another coding.
    """
    match (coding or "identity").strip(" \t").lower():
        case "identity":
            if len(body) > most:
                raise _too_large(most)
            return body
        case "gzip" | "x-gzip":
            return _unzipped(body, most)
    raise UnsupportedMediaError("the content coding is not read", next_step="send gzip, or no content coding")


def _unzipped(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while body:  # a gzip file may have several members (RFC 1952 section 2.2)
        inflater = zlib.decompressobj(_GZIP)
        try:
            part = inflater.decompress(body, most + 1 - size)
        except zlib.error:
            raise BadRequestError("the body is not gzip") from None
        parts.append(part)
        size += len(part)
        if size > most:
            raise _too_large(most)
        if not inflater.eof:
            raise BadRequestError("the gzip body is cut short")
        body = inflater.unused_data
    return b"".join(parts)


def _too_large(most: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"the body has more than {most} bytes when it is unpacked", next_step="send less at once"
    )
