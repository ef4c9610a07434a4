"""Questions that somebody keeps under a name: in the control database, checked before they are kept.

A question has an owner, and others may read it where it is shared; asking it, everybody asks with his own rights.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
from sqlalchemy import delete, func, insert, select, update

from pdp.audit.asked import count_of, decisions_of, grouping_of, names_somebody, report_of, sql_of
from pdp.audit.question import Count, Decisions, Groups, Params, Report, Sql
from pdp.audit.sight import HIDDEN, require
from pdp.errors import BadRequestError, NotFoundError
from pdp.store import tables

if TYPE_CHECKING:
    from sqlalchemy import Row

    from pdp.audit.sight import Sight
    from pdp.callers.caller import Caller
    from pdp.store.store import Store

SavedKind = Literal["decisions", "count", "groups", "report", "sql"]
KINDS: Final[tuple[SavedKind, ...]] = get_args(SavedKind)
MAX_SAVED: Final = 200  # of one owner: more than anybody finds again
MAX_TITLE: Final = 200
_MAX_DOCUMENT: Final = 20_000  # characters of JSON; a statement has at most 10,000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_TABLE: Final = tables.audit_queries
# For the check alone, where the question leaves its time open.
_SOME_TIME: Final[Params] = {"since": ["2000-01-01T00:00:00Z"], "until": ["2000-01-02T00:00:00Z"]}


class Saved(msgspec.Struct, frozen=True):
    """One question. `parameters` may lack `since` and `until`: whoever asks says them then."""

    owner: str
    name: str
    title: str
    kind: SavedKind
    parameters: Params
    shared: bool
    created_at: datetime
    changed_at: datetime


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends to keep."""

    kind: SavedKind
    parameters: dict[str, str | list[str]]
    title: str = ""
    shared: bool = False


def draft_of(body: Any) -> Draft:
    """Raises BadRequestError."""
    try:
        draft = msgspec.convert(body, Draft)
    except msgspec.ValidationError:
        raise BadRequestError(
            "the body is not a question to keep",
            next_step=f"send `kind` (one of {', '.join(KINDS)}), `parameters`, and perhaps `title` and `shared`",
        ) from None
    if len(draft.title) > MAX_TITLE:
        raise BadRequestError(f"`title` is longer than {MAX_TITLE} characters")
    return draft


def parameters_of(draft: Draft) -> Params:
    return {name: [value] if isinstance(value, str) else value for name, value in draft.parameters.items()}


def question_of(
    kind: SavedKind, params: Params, sight: Sight, caller: Caller
) -> Decisions | Count | Groups | Report | Sql:
    """The question as it would be asked now. Raises BadRequestError and NotPermittedError as asking it would."""
    match kind:
        case "decisions":
            return decisions_of(params, sight)
        case "count":
            return count_of(params, sight)
        case "groups":
            return grouping_of(params, sight)
        case "report":
            names = params.get("name", [])
            if len(names) != 1:
                raise BadRequestError("`name` of the report is missing")
            rest = {name: values for name, values in params.items() if name != "name"}
            return report_of(names[0], rest, sight, caller)
        case "sql":
            require(caller, "audit_read", "audit_sql")
            if any(len(values) != 1 for values in params.values()):
                raise BadRequestError("a parameter is given more than once")
            return sql_of({name: values[0] for name, values in params.items()})


def check_draft(draft: Draft, sight: Sight, caller: Caller) -> Params:
    """The parameters, where the question could be asked by its owner. Raises as `question_of`."""
    params = parameters_of(draft)
    timeless = draft.kind == "report" and params.get("name") == ["report_10_completeness"]
    question_of(draft.kind, params if timeless else _SOME_TIME | params, sight, caller)
    return params


class SavedQueries:
    """In the control database. Methods block; they raise DirectoryError where it does not answer."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def visible(self, caller_id: str, sight: Sight) -> list[Saved]:
        """Those of one's own, and what others share; by owner and name."""
        with self._store.read() as connection:
            own = (_TABLE.c.owner == caller_id) | _TABLE.c.shared
            rows = connection.execute(select(_TABLE).where(own).order_by(_TABLE.c.owner, _TABLE.c.name))
            found = [saved for row in rows if _may_see(saved := _saved(row), caller_id, sight)]
        return [_as_seen(saved, caller_id, sight) for saved in found]

    def get(self, owner: str, name: str, caller_id: str, sight: Sight) -> Saved:
        """Raises NotFoundError, also for one that is another's and not shared: whether it exists is not told."""
        with self._store.read() as connection:
            row = connection.execute(
                select(_TABLE).where((_TABLE.c.owner == owner) & (_TABLE.c.name == name))
            ).one_or_none()
        if row is None or not _may_see(saved := _saved(row), caller_id, sight):
            raise NotFoundError("there is no saved question of this name", next_step="`/audit/v1/queries` lists them")
        return _as_seen(saved, caller_id, sight)

    def put(self, owner: str, name: str, draft: Draft, params: Params, now: datetime) -> bool:
        """Keep a question that was checked; whether it is new. Raises BadRequestError for a name that is none."""
        if _NAME.fullmatch(name) is None:
            raise BadRequestError(
                "that is no name for a saved question",
                next_step="use small letters, digits and . _ - only, at most 64, beginning with a letter or digit",
            )
        document = msgspec.json.encode(params).decode()
        if len(document) > _MAX_DOCUMENT:
            raise BadRequestError("the question is too long to be kept")
        values = {
            "title": draft.title,
            "kind": draft.kind,
            "shared": draft.shared,
            "document": document,
            "changed_at": now,
        }
        mine = (_TABLE.c.owner == owner) & (_TABLE.c.name == name)
        with self._store.write() as connection:
            if connection.execute(update(_TABLE).where(mine).values(**values)).rowcount:
                return False
            count = connection.execute(select(func.count()).select_from(_TABLE).where(_TABLE.c.owner == owner)).scalar()
            if (count or 0) >= MAX_SAVED:
                raise BadRequestError(f"{MAX_SAVED} questions are kept already", next_step="delete one of them")
            connection.execute(insert(_TABLE), {"owner": owner, "name": name, "created_at": now, **values})
            return True

    def delete(self, owner: str, name: str) -> None:
        """Raises NotFoundError."""
        with self._store.write() as connection:
            found = connection.execute(delete(_TABLE).where((_TABLE.c.owner == owner) & (_TABLE.c.name == name)))
            if not found.rowcount:
                raise NotFoundError("there is no saved question of yours of this name")


def _may_see(saved: Saved, caller_id: str, sight: Sight) -> bool:
    """A shared question may name people: whoever may not see them all is not shown it."""
    return saved.owner == caller_id or (saved.shared and (sight.whole or not names_somebody(saved.parameters)))


def _as_seen(saved: Saved, caller_id: str, sight: Sight) -> Saved:
    """A title is free text, and whoever wrote it may see names: to those who may not see them all it is not shown."""
    if saved.owner == caller_id or sight.whole or not saved.title:
        return saved
    return msgspec.structs.replace(saved, title=HIDDEN)


def _saved(row: Row[Any]) -> Saved:
    found = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for it
    return Saved(
        owner=found["owner"],
        name=found["name"],
        title=found["title"],
        kind=found["kind"],
        parameters=msgspec.json.decode(found["document"], type=Params),
        shared=found["shared"],
        created_at=found["created_at"],
        changed_at=found["changed_at"],
    )
