"""Bundles from and to Git repositories, by the `git` command.

Nothing is checked out: files are read as objects of one commit, so that no hook, filter or symbolic link of somebody
else's repository does anything here. Where signers are named, `git verify-commit` has to find the signature of one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.errors import BadRequestError, NotReadyError
from pdp.revisions.files import belongs, check_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.revisions.files import Files

GIT_S: Final = 120.0  # of one call: a shallow fetch over a slow line
_PROTOCOLS: Final = "https:ssh:file"  # none that runs a command of its own, and none without encryption
_PLAIN_FILES: Final = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class Fetched:
    commit: str
    files: Files


def fetched(url: str, ref: str, path: str, signers: str) -> Fetched:
    """The bundle below `path` in the commit that `ref` names. `signers`: a file as `ssh-keygen` reads it; empty: any.

    Raises BadRequestError where there is no such commit, or it is not signed as it must be; NotReadyError without git.
    """
    for word in (url, ref, path):
        if word.startswith("-"):  # Attack: a name that git takes for an option
            raise BadRequestError(f"`{word[:64]}` is no name of a repository, a commit or a folder")
    with tempfile.TemporaryDirectory() as place:
        repository = Path(place)
        _git(repository, "init", "--quiet", "--bare")
        _git(repository, "fetch", "--quiet", "--depth=1", "--no-tags", url, ref)
        commit = _git(repository, "rev-parse", "--verify", "FETCH_HEAD^{commit}").decode().strip()
        if signers:
            _require_signed(repository, commit, signers)
        return Fetched(commit, _files(repository, commit, path))


def _require_signed(repository: Path, commit: str, signers: str) -> None:
    allowed = f"gpg.ssh.allowedSignersFile={Path(signers).resolve()}"
    try:
        _git(repository, "-c", allowed, "-c", "gpg.minTrustLevel=fully", "verify-commit", commit)
    except BadRequestError:
        raise BadRequestError(
            f"the commit {commit} is not signed by one of the allowed signers",
            next_step="sign it (`git commit -S`), or have the signer added to `git_allowed_signers_file`",
        ) from None


def _files(repository: Path, commit: str, path: str) -> Files:
    folder = path.strip("/")
    tree = f"{commit}:{folder}" if folder else commit
    listed = _git(repository, "ls-tree", "-r", "-z", "--full-tree", tree).decode("utf-8", "surrogateescape")
    found: dict[str, str] = {}
    for entry in filter(None, listed.split("\0")):
        facts, _, name = entry.partition("\t")
        mode, _, digest = facts.split(" ")
        if mode in _PLAIN_FILES and belongs(name) and not _hidden(name):
            try:
                found[name] = _git(repository, "cat-file", "blob", digest).decode()
            except UnicodeDecodeError:
                raise BadRequestError(f"the file `{name}` is not UTF-8") from None
    return check_files(found)


def _hidden(name: str) -> bool:
    return name != ".manifest" and any(part.startswith(".") for part in name.split("/"))


def committed(repository: Path, branch: str, path: str, files: Mapping[str, str], message: str) -> str:
    """One commit with these files, and no others, below `path`; its id. The working tree is not touched.

    Raises BadRequestError where git refuses it. The author is whoever git says.
    """
    if branch.startswith("-") or path.startswith("-"):
        raise BadRequestError("a branch or a folder does not begin with a hyphen")
    folder, head = path.strip("/"), f"refs/heads/{branch}"
    _git(repository, "check-ref-format", head)
    try:
        parent = _git(repository, "rev-parse", "--verify", "--quiet", f"{head}^{{commit}}").decode().strip()
    except BadRequestError:
        parent = ""
    with tempfile.TemporaryDirectory() as place:
        index = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        if parent:
            _git(repository, "read-tree", parent, environment=index)
            _git(
                repository,
                "rm",
                "-r",
                "--cached",
                "--quiet",
                "--ignore-unmatch",
                "--",
                folder or ".",
                environment=index,
            )
        for name, text in sorted(files.items()):
            digest = _git(repository, "hash-object", "-w", "--stdin", stdin=text.encode()).decode().strip()
            at = f"{folder}/{name}" if folder else name
            _git(repository, "update-index", "--add", "--cacheinfo", f"100644,{digest},{at}", environment=index)
        tree = _git(repository, "write-tree", environment=index).decode().strip()
    parents = ("-p", parent) if parent else ()
    commit = _git(repository, "commit-tree", tree, *parents, stdin=message.encode()).decode().strip()
    _git(repository, "update-ref", head, commit, parent or "0" * 40)
    return commit


def _git(repository: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own = {"GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    identity = {name: os.environ[name] for name in os.environ if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))}
    try:
        done = subprocess.run(  # noqa: S603  # one program, no shell; no argument of others begins with a hyphen
            ["git", "-C", str(repository), *arguments],  # noqa: S607  # where the system has it
            input=stdin,
            capture_output=True,
            check=False,
            timeout=GIT_S,
            env={**clean, **identity, **own, **(environment or {})},
        )
    except FileNotFoundError:
        raise NotReadyError("there is no `git` on this machine", next_step="install git") from None
    except subprocess.TimeoutExpired:
        raise BadRequestError(f"git did not end within {GIT_S:g} seconds") from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise BadRequestError(f"git {_verb(arguments)}: {last or 'it failed'}")
    return done.stdout


def _verb(arguments: tuple[str, ...]) -> str:
    return next((word for word in arguments if not word.startswith("-") and "=" not in word), "")
