"""The reasons of a policy, read from the METADATA comments that stand beside its rules.

OPA's annotation format (https://www.openpolicyagent.org/docs/policy-language#metadata): a comment line
`# METADATA`, then comment lines that form one YAML document. regorus does not parse annotations, and a
reason's texts belong beside its rule and nowhere else, so they are read here for both engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pdp.errors import BadRequestError, BundleError
from pdp.model.decision import Fixer, Text
from pdp.plain_yaml import load_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason code: its group in the order of judgement, its texts, and who can put it right."""

    code: str
    group: str
    user: Text
    admin: Text
    fix: Fixer
    where: str  # file:line of the annotation


_MARK: Final = "# METADATA"


def read_reasons(modules: Mapping[str, str]) -> dict[str, Reason]:
    """Every annotation with `custom.code`, by code. A code that stands twice must say the same twice.

    Raises BundleError with file and line where an annotation is not YAML or a reason lacks a text.
    """
    reasons: dict[str, Reason] = {}
    for name in sorted(modules):
        for line, block in _blocks(modules[name]):
            where = f"{name}:{line}"
            reason = _reason(block, where)
            if reason is None:
                continue
            known = reasons.setdefault(reason.code, reason)
            if (known.user, known.admin, known.fix) != (reason.user, reason.admin, reason.fix):
                raise BundleError(f"`{reason.code}` says something else at {known.where}", where=where)
    return reasons


def _blocks(module: str) -> Iterator[tuple[int, str]]:
    lines = module.splitlines()
    row = 0
    while row < len(lines):
        if lines[row].strip() != _MARK:
            row += 1
            continue
        start = row + 1
        row = start
        while row < len(lines) and lines[row].lstrip().startswith("#"):
            row += 1
        yield start, "\n".join(line.lstrip()[1:].removeprefix(" ") for line in lines[start:row])


def _reason(block: str, where: str) -> Reason | None:
    try:
        annotation = load_one(block)
    except BadRequestError as fault:
        raise BundleError(f"the METADATA is not YAML: {fault}", where=where) from None
    custom = annotation.get("custom") if isinstance(annotation, dict) else None
    if not isinstance(custom, dict) or "code" not in custom:
        return None
    code = str(custom["code"])
    fix = custom.get("fix")
    if fix not in get_args(Fixer):
        raise BundleError(f"`{code}`: `fix` must be one of {', '.join(get_args(Fixer))}", where=where)
    return Reason(
        code=code,
        group=str(custom.get("group", "")),
        user=_text(custom.get("user"), code, "user", where),
        admin=_text(custom.get("admin"), code, "admin", where),
        fix=cast("Fixer", fix),
        where=where,
    )


def _text(value: Any, code: str, whom: str, where: str) -> Text:
    if isinstance(value, dict) and all(isinstance(value.get(lang), str) and value[lang] for lang in ("ja", "en")):
        return Text(ja=value["ja"].strip(), en=value["en"].strip())
    raise BundleError(f"`{code}`: the {whom} text is needed in ja and en", where=where)
