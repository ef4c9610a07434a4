"""What puts the real servers into place, as far as it can be seen without fetching anything."""

from __future__ import annotations

import subprocess

import pytest

from tools import install


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_wrapper_runs_the_real_program_with_its_own_libraries(tmp_path):
    real = script(tmp_path / "real", 'echo "$LD_LIBRARY_PATH $0 $*"')
    install._write_wrapper(tmp_path / "wrapper", real, "/a:/b")
    said = subprocess.run([tmp_path / "wrapper", "-D", "x y"], capture_output=True, text=True, check=True, env={})
    assert said.stdout == f"/a:/b {real} -D x y\n"


def test_a_wrapper_keeps_the_libraries_that_the_caller_asks_for(tmp_path):
    real = script(tmp_path / "real", 'echo "$LD_LIBRARY_PATH"')
    install._write_wrapper(tmp_path / "wrapper", real, "/a")
    env = {"LD_LIBRARY_PATH": "/own"}
    assert (
        subprocess.run([tmp_path / "wrapper"], capture_output=True, text=True, check=True, env=env).stdout
        == "/a:/own\n"
    )


def test_a_program_that_does_not_run_is_missing(tmp_path):
    broken = script(tmp_path / "opa", "exit 3")
    with pytest.raises(install.MissingError, match="`opa` does not run"):
        install._version(broken, "version", r"Version: (\S+)")


def test_the_newest_server_of_several_is_taken(tmp_path):
    programs = [tmp_path / major / "bin" / "postgres" for major in ("9", "15", "17", "old")]
    assert max(programs, key=install._major) == tmp_path / "17" / "bin" / "postgres"


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_missing_part_ends_a_ci_run_and_no_other(monkeypatch, capsys, ci, code):
    def absent():
        raise install.MissingError("install it yourself")

    monkeypatch.setenv("CI", ci)
    assert install.main({"Envoy": lambda: "1.40.0", "OPA": absent}) == code
    said = capsys.readouterr()
    assert "Envoy       1.40.0" in said.out
    assert "MISSING" in said.err
    assert "install it yourself" in said.err


def test_a_server_on_the_path_is_taken_and_nothing_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "BIN", tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path))
    both = [script(tmp_path / name, "echo 1") for name in ("gate", "gate-check")]
    assert install._debian(["gate"], ["gate", "gate-check"], tmp_path / "tree") == both[0]
    assert not (tmp_path / "tree").exists()


def test_a_server_that_is_only_half_there_is_missing_where_nothing_can_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "BIN", tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path))
    script(tmp_path / "gate", "echo 1")
    with pytest.raises(install.MissingError, match="install gate and gate-utils"):
        install._debian(["gate", "gate-utils"], ["gate", "no-such-gate-check"], tmp_path / "tree")
