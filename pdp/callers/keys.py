"""API keys of enforcement points and machines: `sekisho_KEYID_SECRET`, of which only a digest is kept.

The secret has 256 bits of chance, so that one plain SHA-256 is as hard to reverse as the secret is to guess,
and checking a key costs microseconds. `KEYID` is not secret: it finds the row, and stands in lists and logs.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import delete, insert, select, update

from pdp.callers.caller import PERMISSIONS, Caller, Permission
from pdp.errors import BadRequestError, NotAuthenticatedError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from pdp.store.store import Store
