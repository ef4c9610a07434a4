"""Marks, on SQLite here; the store's contract suite holds PostgreSQL to the same tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pdp.errors import BadRequestError, DirectoryError, NotReadyError
from pdp.identity.proof import Shown
from pdp.identity.revocations import KEPT, MAX_ID, MarkKind, StoredRevocations, lift, list_marks, revoke
from pdp.identity.token import TokenRefusedError
from pdp.model.issuer import LONGEST_LEEWAY_S
from pdp.store.store import Store, open_store
from tests.tokens import NOW

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
OURS, THEIRS = "https://idp.example.jp/realms/mie", "https://idp.city.example.jp"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    opened.migrate()
    yield opened
    opened.close()


async def verdict(store: Store, shown: Shown, now: datetime = NOW) -> str | None:
    """Of a worker that has just looked: None, or the reason."""
    marks = StoredRevocations(store, lambda: now, issuers=[OURS, THEIRS])
    await marks.refresh()
    try:
        marks.refuse_revoked(shown)
    except TokenRefusedError as fault:
        return fault.reason
    return None


def of(*times: datetime | None, subject: str = "u-1", session: str | None = None, token: str | None = None) -> Shown:
    return Shown((subject, "x"), session, token, times)


async def test_what_a_subject_was_given_until_then_ends_and_what_comes_after_does_not(store: Store) -> None:
    revoke(store, "subject", "u-1", at=NOW, now=NOW)
    assert await verdict(store, of(NOW - SECOND)) == "subject_revoked"
    assert await verdict(store, of(NOW)) == "subject_revoked"
    assert await verdict(store, of(NOW + SECOND)) is None
    assert await verdict(store, of(NOW - SECOND, subject="u-2")) is None


async def test_every_name_of_a_subject_counts(store: Store) -> None:
    revoke(store, "subject", "x", at=NOW, now=NOW)
    assert await verdict(store, of(NOW, subject="u-9")) == "subject_revoked"
    assert await verdict(store, Shown((None, None), None, None, (NOW,))) is None


async def test_a_token_that_was_refreshed_rests_on_its_login(store: Store) -> None:
    revoke(store, "subject", "u-1", at=NOW, now=NOW)
    assert await verdict(store, of(NOW + SECOND, NOW - SECOND)) == "subject_revoked"
    assert await verdict(store, of(NOW + SECOND, None)) is None
    assert await verdict(store, of(NOW + SECOND, NOW + SECOND)) is None


async def test_nobody_knows_when_counts_as_long_ago(store: Store) -> None:
    revoke(store, "subject", "u-1", at=NOW, now=NOW)
    assert await verdict(store, of(None)) == "subject_revoked"
    assert await verdict(store, of()) == "subject_revoked"


async def test_a_session_and_a_token_end_for_good(store: Store) -> None:
    revoke(store, "session", "s-1", at=NOW, now=NOW)
    revoke(store, "token", "j-1", at=NOW, now=NOW)
    later = NOW + timedelta(days=1)
    assert await verdict(store, of(later, session="s-1"), later) == "session_revoked"
    assert await verdict(store, of(later, token="j-1"), later) == "token_revoked"
    assert await verdict(store, of(later, session="s-2", token="j-2"), later) is None
    assert await verdict(store, of(NOW, subject="s-1", session="j-1", token="s-1")) is None, "kinds are apart"


async def test_the_later_of_two_marks_stays(store: Store) -> None:
    revoke(store, "subject", "u-1", at=NOW, now=NOW)
    made = revoke(store, "subject", "u-1", at=NOW - timedelta(hours=1), now=NOW + SECOND)
    assert made.not_before == NOW
    assert made.created_at == NOW
    revoke(store, "subject", "u-1", at=NOW + SECOND, now=NOW + SECOND)
    assert [mark.not_before for mark in list_marks(store, now=NOW)] == [NOW + SECOND]


async def test_a_mark_that_nothing_can_outlive_is_dropped(store: Store) -> None:
    revoke(store, "session", "s-1", at=NOW, now=NOW)
    then = NOW + KEPT
    assert await verdict(store, of(NOW, session="s-1"), then - SECOND) == "session_revoked"
    assert list_marks(store, now=then) == ()
    revoke(store, "session", "s-2", at=then, now=then)
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM revocations").scalar_one() == 1


async def test_a_lifted_mark_is_gone(store: Store) -> None:
    revoke(store, "subject", "u-1", at=NOW, now=NOW)
    lift(store, "subject", "u-1")
    assert await verdict(store, of(NOW)) is None
    with pytest.raises(BadRequestError):
        lift(store, "subject", "u-1")


@pytest.mark.parametrize("marked", ["", "u\n1", "u\0", "u" * (MAX_ID + 1)])
def test_an_id_that_is_none_is_refused(store: Store, marked: str) -> None:
    with pytest.raises(BadRequestError):
        revoke(store, "subject", marked, at=NOW, now=NOW)


def test_an_instant_that_shuts_out_or_means_nothing_is_refused(store: Store) -> None:
    for at in (NOW + timedelta(seconds=61), NOW - KEPT):
        with pytest.raises(BadRequestError):
            revoke(store, "subject", "u-1", at=at, now=NOW)
    assert list_marks(store, now=NOW) == ()


async def test_a_worker_sees_a_mark_at_its_next_look_and_reads_only_where_something_changed(store: Store) -> None:
    marks = StoredRevocations(store, lambda: NOW)
    assert await marks.refresh()
    assert not await marks.refresh()
    revoke(store, "token", "j-1", at=NOW, now=NOW)
    marks.refuse_revoked(of(NOW, token="j-1"))
    assert await marks.refresh()
    with pytest.raises(TokenRefusedError):
        marks.refuse_revoked(of(NOW, token="j-1"))


async def test_while_the_store_is_gone_the_last_marks_stay(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    store.migrate()
    revoke(store, "token", "j-1", at=NOW, now=NOW)
    marks = StoredRevocations(store, lambda: NOW)
    await marks.refresh()
    store.close()
    (tmp_path / "sekisho.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(DirectoryError):
        await marks.refresh()
    with pytest.raises(TokenRefusedError):
        marks.refuse_revoked(of(NOW, token="j-1"))
    store.close()


@pytest.mark.parametrize("kind", ["session", "token"])
async def test_a_session_or_token_that_was_marked_as_of_long_ago_does_not_come_back_to_life(
    store: Store, kind: MarkKind
) -> None:
    """The attack: patience. The instant says nothing of how long a session or a token may still live."""
    revoke(store, kind, "x-1", at=NOW - timedelta(days=30), now=NOW)
    later = NOW + timedelta(days=2)
    assert await verdict(store, of(NOW, **{kind: "x-1"}), later) == f"{kind}_revoked"


async def test_a_mark_outlives_the_oldest_token_with_its_leeway(store: Store) -> None:
    revoke(store, "subject", "u-1", at=NOW, now=NOW)
    ends = NOW + timedelta(days=31, seconds=LONGEST_LEEWAY_S)  # of a token that was issued then, at the latest
    assert await verdict(store, of(NOW), ends) == "subject_revoked"


async def test_marks_that_nobody_could_confirm_for_too_long_let_nobody_in(store: Store) -> None:
    """The directory may be read all the while: its age says nothing of the marks."""
    now = [NOW]
    marks = StoredRevocations(store, lambda: now[0], max_age=timedelta(minutes=15))
    with pytest.raises(NotReadyError):
        marks.refuse_revoked(of(NOW))
    await marks.refresh()
    now[0] += timedelta(minutes=15)
    marks.refuse_revoked(of(NOW))
    now[0] += SECOND
    with pytest.raises(NotReadyError):
        marks.refuse_revoked(of(NOW))
    assert not await marks.refresh(), "nothing has changed, and that is now known"
    marks.refuse_revoked(of(NOW))


# --- Whose mark it is ------------------------------------------------------------------------------------------------


def by(issuer: str | None, kind: MarkKind, marked: str = "x-1") -> Shown:
    """An identity that this issuer vouches for, with this one value in it."""
    subject, session, token = (marked if kind == one else None for one in ("subject", "session", "token"))
    return Shown((subject,), session, token, (NOW,), issuer)


@pytest.mark.parametrize("kind", ["subject", "session", "token"])
async def test_one_issuers_mark_does_not_end_what_another_issued(store: Store, kind: MarkKind) -> None:
    """The attack: a municipality's provider logs out the prefecture's staff by naming their `sub`, `sid` or `jti`."""
    revoke(store, kind, "x-1", at=NOW, now=NOW, issuer=THEIRS)
    assert await verdict(store, by(THEIRS, kind)) == f"{kind}_revoked"
    assert await verdict(store, by(OURS, kind)) is None


@pytest.mark.parametrize("kind", ["subject", "session", "token"])
async def test_a_mark_of_no_issuer_ends_what_any_issued(store: Store, kind: MarkKind) -> None:
    revoke(store, kind, "x-1", at=NOW, now=NOW)
    for issuer in (OURS, THEIRS, "https://elsewhere.example.jp", None):
        assert await verdict(store, by(issuer, kind)) == f"{kind}_revoked"


@pytest.mark.parametrize("kind", ["subject", "session", "token"])
@pytest.mark.parametrize("issuer", [None, "", OURS + "/", OURS.upper(), "https://elsewhere.example.jp"])
async def test_whom_nobody_known_vouches_for_no_mark_is_escaped(
    store: Store, kind: MarkKind, issuer: str | None
) -> None:
    """The attack: a gateway that leaves the issuer out, or writes it in another way, than the logout token did."""
    revoke(store, kind, "x-1", at=NOW, now=NOW, issuer=OURS)
    assert await verdict(store, by(issuer, kind)) == f"{kind}_revoked"


async def test_the_marks_of_two_issuers_on_one_value_do_not_touch_each_other(store: Store) -> None:
    earlier = NOW - timedelta(hours=1)
    revoke(store, "subject", "x-1", at=NOW, now=NOW, issuer=OURS)
    revoke(store, "subject", "x-1", at=earlier, now=NOW, issuer=THEIRS)
    assert await verdict(store, by(OURS, "subject")) == "subject_revoked"
    assert await verdict(store, by(THEIRS, "subject")) is None, "logged in after their mark"
    assert await verdict(store, by(None, "subject")) == "subject_revoked", "the latest of all"
    revoke(store, "subject", "x-1", at=NOW, now=NOW)
    assert await verdict(store, by(THEIRS, "subject")) == "subject_revoked", "the mark of every issuer counts beside"
    lift(store, "subject", "x-1", issuer=OURS)
    assert {mark.issuer for mark in list_marks(store, now=NOW)} == {"", THEIRS}
    with pytest.raises(BadRequestError):
        lift(store, "subject", "x-1", issuer=OURS)
