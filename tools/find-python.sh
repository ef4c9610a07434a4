#!/bin/sh
# Prints the path of a Python that can make our virtual environment: 3.11 or newer, with venv and pip's installer.
# PYTHON=/path/to/python goes first. Exit 1 with advice on stderr where there is none.
for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14; do
    [ -n "$name" ] || continue
    path=$(command -v "$name" 2>/dev/null) || continue
    # A version manager's shim exists even where its version is not chosen, so each one is run.
    if "$path" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        echo "$path"
        exit 0
    fi
done
cat >&2 <<'ADVICE'
No Python 3.11 or newer with the module venv was found.
  Debian, Ubuntu:  apt-get install python3 python3-venv
  Fedora, RHEL:    dnf install python3.11
  macOS:           brew install python@3.13
Or name one: make setup PYTHON=/path/to/python3.11
ADVICE
exit 1
