"""Checks the documents: links resolve, headings that are linked to exist, commands that are named exist.

    python tools/docs.py

Every markdown file that git tracks or would track is read. A command is `make X`, `pdp X` or `pdp X Y` in a code
span or at the start of a line of a fenced block. `make` is looked up in the Makefile, `pdp` among its own commands,
whose help has tests of its own. Addresses on the network are not fetched: their death is not a fault of a commit.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from typer.core import TyperGroup
from typer.main import get_command

from pdp.cli import app

ROOT: Final = Path(__file__).resolve().parents[1]
_LINK: Final = re.compile(r"(?<!\\)!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_HEADING: Final = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_SPAN: Final = re.compile(r"`([^`]+)`")
_COMMAND: Final = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(make|pdp)\s+([a-z][a-z0-9-]*)(?:\s+([a-z][a-z-]*))?")


def documents(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", "*.md"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [root / name for name in sorted(listed.split("\0")) if name and (root / name).is_file()]


def links(text: str) -> list[tuple[int, str]]:
    """Line and target of every link outside code."""
    found = []
    for line, content in _outside_fences(text):
        found += [(line, target) for target in _LINK.findall(_SPAN.sub("", content))]
    return found


def anchors(text: str) -> set[str]:
    """The anchors that headings get, as GitHub and GitLab make them."""
    seen: dict[str, int] = {}
    names = set()
    for _, content in _outside_fences(text):
        heading = _HEADING.match(content)
        if heading:
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "").lower()
            slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            names.add(f"{slug}-{count}" if count else slug)
    return names


def commands(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """Line and words of every command that the text names."""
    found = []
    outside = {line for line, _ in _outside_fences(text)}
    for line, content in enumerate(text.splitlines(), 1):
        for piece in _SPAN.findall(content) if line in outside else [content.strip()]:
            command = _COMMAND.match(piece)
            if command:
                found.append((line, tuple(word for word in command.groups() if word)))
    return found


def _outside_fences(text: str) -> list[tuple[int, str]]:
    lines, fence = [], ""
    for number, content in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(content)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""
        elif not fence:
            lines.append((number, content))
    return lines


def link_fault(document: Path, target: str, root: Path) -> str | None:
    """Why a link does not resolve, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    name, _, anchor = target.partition("#")
    path = (document.parent / unquote(name)).resolve() if name else document
    if not path.is_relative_to(root):
        return "leads out of the project"
    if not path.exists():
        return "does not exist"
    if anchor and path.suffix == ".md" and unquote(anchor) not in anchors(path.read_text(encoding="utf-8")):
        return "has no such heading"
    return None


class Commands:
    """Which commands exist: the Makefile's targets, and what `pdp` itself knows."""

    def __init__(self, root: Path) -> None:
        makefile = (root / "Makefile").read_text(encoding="utf-8")
        self._targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
        self._pdp = get_command(app)

    def exists(self, words: tuple[str, ...]) -> bool:
        if words[0] == "make":
            return words[1] in self._targets
        command = self._pdp
        for word in words[1:]:
            if not isinstance(command, TyperGroup):
                return True  # the word after a command that is no group is an argument
            if word not in command.commands:
                return False
            command = command.commands[word]
        return True


def faults(root: Path) -> list[str]:
    known = Commands(root)
    found = []
    for document in documents(root):
        text = document.read_text(encoding="utf-8")
        name = document.relative_to(root)
        for line, target in links(text):
            fault = link_fault(document, target, root)
            if fault:
                found.append(f"{name}:{line}: the link `{target}` {fault}")
        found += [
            f"{name}:{line}: there is no command `{' '.join(words)}`"
            for line, words in commands(text)
            if not known.exists(words)
        ]
    return found


def main() -> int:
    found = faults(ROOT)
    for fault in found:
        print(fault, file=sys.stderr)
    print(f"{len(documents(ROOT))} documents, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
