"""What can be asked, in the reader's language: the named questions, and the columns of the relations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.archive.meanings import RELATIONS
from pdp.archive.queries import QUERIES
from pdp.audit.veil_lists import PSEUDONYMS, SHOWN

if TYPE_CHECKING:
    from pdp.audit.question import Lang
    from pdp.audit.sight import Sight
    from pdp.callers.caller import Caller


def reports_told(lang: Lang, caller: Caller) -> dict[str, Any]:
    """Every named question that this caller may ask, with its parameters."""
    return {
        "reports": [
            {
                "name": query.name,
                "title": getattr(query.title, lang),
                "note": None if query.note is None else getattr(query.note, lang),
                "parameters": dict(query.params),
            }
            for query in QUERIES.values()
            if not query.export or caller.may("audit_export")
        ]
    }


def columns_told(lang: Lang, sight: Sight) -> dict[str, Any]:
    """The columns that these eyes see, and what they say; `pseudonym`: one stands in the place of the value."""
    return {
        "relations": {
            relation: [
                {"name": name, "meaning": getattr(meaning, lang), "pseudonym": sight.veiled and name in PSEUDONYMS}
                for name, meaning in columns.items()
                if not sight.veiled or name in SHOWN or name in PSEUDONYMS
            ]
            for relation, columns in RELATIONS.items()
        }
    }
