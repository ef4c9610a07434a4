"""Requests that two parties may read differently, for the two applications of the example gateways."""

from __future__ import annotations

from itertools import product

from pdp.wire.gateway_check import ANSWERS
from pdp.wire.gateway_facts import FACTS, KEY
from tests.envoy_server import HOST

# What Windows takes for another name than a route does.
WINDOWS = (
    "/files/download./x",
    "/files/download.../x",
    "/files/download%20/x",
    "/files/download%20./x",
    "/files/download::$DATA",
    "/files/download:$i30:$INDEX_ALLOCATION/x",
    "/files/download%3A%3A%24DATA/x",
    "/files/x.asp.",
)
TRICKS = [
    "/groupware/../files/x",
    "/groupware/%2e%2e/files/x",
    "/groupware/%2E./files/x",
    "/groupware/..%2ffiles/x",
    "/groupware/..;/files/x",
    "/groupware/..;a=b/files/x",
    "/groupware/;a=b/x",
    "//groupware/x",
    "/groupware//../files/x",
    "/groupware/./x",
    "/groupware/\\..\\files",
    "/groupware/%5c..%5cfiles",
    "/groupware/%00",
    "/groupware/%0d%0ax-pdp-subject:u-deny",
    "/groupware/x%0a",
    "/groupware/x%0d",
    "/groupware/%0a/x",
    "/groupware/x%0a%0a",
    "/groupware/%252e%252e/files",
    "/groupware/%c0%ae%c0%ae/files",
    "/groupware/%u002e%u002e/files",
    "/groupware/%zz",
    "/groupware#/files",
    "/groupware?/../files/x",
    "/%67roupware/x",
    "/files/%64ownload/x",
    "/files/download%2fx",
    *WINDOWS,
    "/GROUPWARE/x",
    "/groupwarex",
    "/envoy/../groupware/",
    f"http://{HOST}/files/x",
    "http://evil.example/groupware/",
    "*",
]
# By these a client would have a framework carry out another method, or serve another path, than was decided.
OVERRIDES = (
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-rewrite-url",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-original-path",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-prefix",
)
OURS = (KEY, *FACTS, *ANSWERS)
RESOURCES = {"groupware": ("groupware", "access"), "files": ("file-storage", "access")}

_HOST = f"host: {HOST}\r\n"
_CLOSE = "connection: close\r\n"
# What http.client would not send. `{token}` is filled in; latin-1, so that every byte can stand there.
RAW = {
    "a byte that is not UTF-8": "GET /groupware/\xff HTTP/1.1\r\n" + _HOST + "{token}" + _CLOSE + "\r\n",
    "UTF-8 without escapes": "GET /groupware/\xe6\x97\xa5 HTTP/1.1\r\n" + _HOST + "{token}" + _CLOSE + "\r\n",
    "a tab in the path": "GET /groupware/\tx HTTP/1.1\r\n" + _HOST + "{token}" + _CLOSE + "\r\n",
    "a blank in the path": "GET /groupware/ x HTTP/1.1\r\n" + _HOST + "{token}" + _CLOSE + "\r\n",
    "no host": "GET /groupware/ HTTP/1.1\r\n{token}" + _CLOSE + "\r\n",
    "two hosts": "GET /groupware/ HTTP/1.1\r\n" + _HOST + "host: evil.example\r\n{token}" + _CLOSE + "\r\n",
    "a user in the host": "GET /groupware/ HTTP/1.1\r\nhost: evil@" + HOST + "\r\n{token}" + _CLOSE + "\r\n",
    "HTTP/1.0": "GET /groupware/ HTTP/1.0\r\n" + _HOST + "{token}\r\n",
    "HTTP/1.0 without a host": "GET /groupware/ HTTP/1.0\r\n{token}\r\n",
    "HTTP/0.9": "GET /groupware/\r\n",
    "bare line feeds": f"GET /groupware/ HTTP/1.1\nhost: {HOST}\n{{token}}connection: close\n\n",
    "two lengths": "POST /groupware/ HTTP/1.1\r\n" + _HOST + "{token}" + _CLOSE
    + "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
    "a folded header": "GET /groupware/ HTTP/1.1\r\n" + _HOST + "{token}x-a: b\r\n x-pdp-device: forged\r\n"
    + _CLOSE + "\r\n",
    "a blank before the colon": "GET /groupware/ HTTP/1.1\r\n" + _HOST + "{token}x-pdp-device : forged\r\n"
    + _CLOSE + "\r\n",
    "a NUL in a header": "GET /groupware/ HTTP/1.1\r\n" + _HOST + "{token}x-a: b\0c\r\n" + _CLOSE + "\r\n",
    "an unusual method": "GETX-y_z!# /groupware/ HTTP/1.1\r\n" + _HOST + "{token}" + _CLOSE + "\r\n",
    "an upgrade to h2c": "GET /groupware/ HTTP/1.1\r\n" + _HOST + "{token}connection: upgrade, http2-settings\r\n"
    "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
}  # fmt: skip


def other_spellings(name: str) -> list[str]:
    """With `_` or `.` for some of its dashes: an application that reads headers as CGI variables sees one name."""
    first, *rest = name.split("-")
    spelled = (
        first + "".join(dash + word for dash, word in zip(dashes, rest, strict=True))
        for dashes in product("-_.", repeat=len(rest))
    )
    return [other for other in spelled if other != name]


def raw_request(case: str, token: str) -> bytes:
    return RAW[case].replace("{token}", f"authorization: Bearer {token}\r\n").encode("latin-1")
