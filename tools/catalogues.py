"""The console's words in two languages: collects the texts of templates and modules, compiles what is translated.

    python tools/catalogues.py          writes the catalogues: new texts stand there without a translation
    python tools/catalogues.py check    exit 1 where a text has none, or a compiled catalogue is not what it should be

The texts are English; `pdp/console/locale/ja/LC_MESSAGES/console.po` is edited by hand. A text that is not used any
more goes.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).resolve().parents[1]
CONSOLE: Final = ROOT / "pdp" / "console"
LANGS: Final = ("ja", "en")
_KEYWORDS: Final = {"_": None, "gettext": None, "N_": None, "say": None, "ngettext": (1, 2)}
_METHODS: Final = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
_OPTIONS: Final = {"**/templates/**.html": {"trimmed": "true", "silent": "false"}}


def texts() -> Catalog:
    """Every text that may be shown."""
    found = Catalog(domain="console", charset="utf-8")
    for file, _, message, _, _ in extract_from_dir(CONSOLE, _METHODS, _OPTIONS, _KEYWORDS, strip_comment_tags=True):
        if message and all(message):
            found.add(message, locations=[(f"pdp/console/{file}", 0)])
    return found


def translated(lang: str) -> Catalog:
    """The catalogue as it should be: every text of today, with the translations that there are."""
    path = _po(lang)
    known = Catalog(locale=lang, domain="console", charset="utf-8")
    if path.exists():
        with path.open("rb") as file:
            known = read_po(file, locale=lang, domain="console")
    fresh = Catalog(locale=lang, domain="console", charset="utf-8", header_comment="# Texts of the console.")
    for message in sorted(texts(), key=lambda m: str(m.id)):
        if message.id:
            before = known.get(message.id)
            kept = before.string if before is not None and not before.fuzzy else None
            fresh.add(message.id, kept, locations=sorted({(name, 0) for name, _ in message.locations}))
    return fresh


def written(catalogue: Catalog) -> tuple[bytes, bytes]:
    """(the editable catalogue, the compiled one), the same bytes for the same texts."""
    editable, compiled = io.BytesIO(), io.BytesIO()
    write_po(editable, catalogue, width=118, include_lineno=False, sort_output=True)
    text = re.sub(
        rb'"(POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|Language-Team|Report-Msgid)[^\n]*\n',
        b"",
        editable.getvalue(),
    )
    write_mo(compiled, read_po(io.BytesIO(text), locale=catalogue.locale, domain="console"))
    stable = re.sub(
        rb"(POT-Creation-Date|PO-Revision-Date): [^\n\x00]*",
        lambda m: m[0][: len(m[1]) + 2].ljust(len(m[0]), b"-"),
        compiled.getvalue(),
    )
    return text, stable


def missing(catalogue: Catalog) -> list[str]:
    return [
        str(m.id) for m in catalogue if m.id and (not m.string or (isinstance(m.string, tuple) and not all(m.string)))
    ]


def main(check: bool) -> int:
    faults: list[str] = []
    for lang in LANGS:
        catalogue = translated(lang)
        editable, compiled = written(catalogue)
        if lang != "en":
            faults += [f"{lang}: no translation of `{text}`" for text in missing(catalogue)]
        for path, contents in ((_po(lang), editable), (_po(lang).with_suffix(".mo"), compiled)):
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(contents)
            elif not path.exists() or path.read_bytes() != contents:
                faults.append(f"`{path.relative_to(ROOT)}` is not what it should be: run `python tools/catalogues.py`")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def _po(lang: str) -> Path:
    return CONSOLE / "locale" / lang / "LC_MESSAGES" / "console.po"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["check"]))
