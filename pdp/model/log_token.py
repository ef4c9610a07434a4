"""The key of the decision log's heads in a device: the table `[log_key_token]`."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Path = Annotated[str, msgspec.Meta(pattern=r"^/.{1,1023}\Z")]  # what is loaded into the process has a whole path


class TokenKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An Ed25519 key pair in a PKCS#11 token. `previous_key` signs for `key` once, where that is new."""

    module: _Path  # the device's library, a .so
    token: _Label  # CK_TOKEN_INFO.label
    key: _Label  # CKA_LABEL of the public and of the private key
    pin_file: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    previous_key: Annotated[str, msgspec.Meta(max_length=64)] = ""
