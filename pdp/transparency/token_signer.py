"""Signs with a key that never leaves its device: PKCS#11 (v3.1), mechanism CKM_EDDSA over Ed25519.

A session that the device has ended (it was taken out, it restarted, it has too many) is opened anew, with a new
login, once for each signature; where that fails as well the notary tries again at its next turn, and records
stay uncovered until then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import SettingsError
from pdp.transparency.note import NoteKey

if TYPE_CHECKING:
    from pdp.model.log_token import TokenKey

_POINT: Final = b"\x04\x20"  # DER: an octet string of 32 bytes, as CKA_EC_POINT is (PKCS#11 v3.1, 6.3.5)
_RAW_BYTES: Final = 32  # some devices give the bare point
_MAX_PIN: Final = 1024


class TokenSigner:
    """Adapter of `pdp.transparency.note.Signer`. Used by one thread.

    The first use opens the device. Raises SettingsError where the library, the token, the key or the PIN is not
    what the settings say; OSError where the device does not answer.
    """

    def __init__(self, where: TokenKey, label: str, name: str) -> None:
        self._where: Final = where
        self._label: Final = label
        self._name: Final = name
        self._session: Any = None
        self._private: Any = None
        self._key: NoteKey | None = None

    @property
    def key(self) -> NoteKey:
        """The public key as the device gives it."""
        if self._key is None:
            self._open()
        assert self._key is not None
        return self._key

    def sign(self, data: bytes) -> bytes:
        from pkcs11 import Mechanism
        from pkcs11.exceptions import PKCS11Error

        if self._private is None:
            self._open()
        try:
            return bytes(self._private.sign(data, mechanism=Mechanism.EDDSA))
        except PKCS11Error:
            self._leave()
        self._open()
        try:
            return bytes(self._private.sign(data, mechanism=Mechanism.EDDSA))
        except PKCS11Error as fault:
            self._leave()
            raise OSError(f"the signing device does not sign: {type(fault).__name__}") from None

    def close(self) -> None:
        """May be called twice."""
        self._leave()

    def _open(self) -> None:
        try:
            import pkcs11
        except ImportError:
            raise SettingsError(
                "`log_key_token` is set, and PKCS#11 is not installed: install `sekisho-pdp[pkcs11]`"
            ) from None
        from pkcs11.exceptions import NoSuchKey, NoSuchToken, PinIncorrect, PinLocked, PKCS11Error

        where = self._where
        try:
            token = pkcs11.lib(where.module).get_token(token_label=where.token)
            self._session = self._entered(token, _pin(where.pin_file))
            self._find()
        except NoSuchToken:
            raise SettingsError(f"no device holds a token `{where.token}`") from None
        except NoSuchKey:
            self._leave()
            raise SettingsError(f"the token `{where.token}` holds no Ed25519 key `{self._label}`") from None
        except (PinIncorrect, PinLocked) as fault:
            # Never tried again by itself: a few wrong PINs lock the token.
            raise SettingsError(f"the token `{where.token}` refuses the PIN: {type(fault).__name__}") from None
        except (PKCS11Error, RuntimeError) as fault:
            self._leave()
            raise OSError(f"the signing device does not answer: {type(fault).__name__}") from None

    @staticmethod
    def _entered(token: Any, pin: str) -> Any:
        from pkcs11.exceptions import UserAlreadyLoggedIn

        try:
            return token.open(user_pin=pin)
        except UserAlreadyLoggedIn:  # a login counts for all sessions of a process: the next key's, or the trail's
            return token.open()

    def _find(self) -> None:
        from pkcs11 import Attribute, KeyType, ObjectClass

        public = self._session.get_key(ObjectClass.PUBLIC_KEY, KeyType.EC_EDWARDS, label=self._label)
        self._private = self._session.get_key(ObjectClass.PRIVATE_KEY, KeyType.EC_EDWARDS, label=self._label)
        point = bytes(public[Attribute.EC_POINT]).removeprefix(_POINT)
        if len(point) != _RAW_BYTES:
            raise SettingsError(f"the key `{self._label}` is not an Ed25519 key")
        found = NoteKey(self._name, point)
        if self._key is not None and found != self._key:
            raise SettingsError(f"the key `{self._label}` is another one than before")
        self._key = found

    def _leave(self) -> None:
        from pkcs11.exceptions import PKCS11Error

        session, self._session, self._private = self._session, None, None
        if session is not None:
            try:
                session.close()
            except PKCS11Error:  # it is gone already
                return


def _pin(file: str) -> str:
    try:
        pin = Path(file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise SettingsError("`pin_file` of `log_key_token` cannot be read") from None
    if not pin or len(pin) > _MAX_PIN:
        raise SettingsError("`pin_file` of `log_key_token` holds no PIN")
    return pin
