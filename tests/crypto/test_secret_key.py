"""The deployment key: made once, kept to its owner, never shown."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from grantwell import ConfigurationError, SecretKey
from grantwell.crypto import secret_key

requirement = pytest.mark.requirement

KEY = b"\xab" * 32


def refused(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        SecretKey.file(path)
    assert caught.value.field == "secret_key"
    assert "ab" * 8 not in str(caught.value)
    return str(caught.value)


@requirement("A-334", "A-335", "S-472")
def test_a_file_is_made_on_first_use_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "oauth.key"
    before = os.umask(0)
    try:
        first = SecretKey.file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().strip()) == 64
    assert bytes.fromhex(path.read_text()) == first.keys[0]
    assert SecretKey.file(str(path)).keys == first.keys
    assert os.listdir(tmp_path) == ["oauth.key"]
    assert SecretKey.file(tmp_path / "other.key").keys != first.keys


@requirement("A-334", "F-071")
def test_of_processes_that_start_at_once_all_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "oauth.key"
    program = (
        "import sys; from grantwell import SecretKey; "
        "print('ready', flush=True); sys.stdin.read(1); print(SecretKey.file(sys.argv[1]).keys[0].hex())"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == b"ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"x")
        racer.stdin.flush()
    printed = {racer.communicate()[0].strip() for racer in racers}
    assert printed == {path.read_text().strip().encode()}
    assert os.listdir(tmp_path) == ["oauth.key"]


@requirement("A-334", "F-071")
def test_the_one_that_comes_too_late_leaves_the_key_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "oauth.key"
    first = SecretKey.file(path)
    secret_key._create_key_file(path)
    assert SecretKey.file(path).keys == first.keys
    assert os.listdir(tmp_path) == ["oauth.key"]


@requirement("A-334", "A-335", "D-32")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666, 0o610, 0o777])
def test_a_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "oauth.key"
    path.write_text(KEY.hex())
    path.chmod(mode)
    assert f"chmod 600 {path}" in refused(path)
    path.chmod(0o400)
    assert SecretKey.file(path).keys == (KEY,)


@requirement("A-334")
@pytest.mark.parametrize(
    "content",
    [b"", b"ab" * 31, b"ab" * 33, b"ab" * 32 + b"c", b"zz" * 32, b"\xff" * 64, KEY, b"ab" * 4096, b"\x00" * 64],
)
def test_a_file_that_does_not_hold_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "oauth.key"
    path.write_bytes(content)
    path.chmod(0o600)
    assert str(path) in refused(path)
    assert path.read_bytes() == content


@requirement("A-334")
def test_a_place_where_no_key_can_be_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "oauth.key", tmp_path):
        assert str(path) in refused(path)
    with pytest.raises(ConfigurationError):
        SecretKey.file(tmp_path / "new.key", older=tmp_path / "missing.key")
    assert not (tmp_path / "missing.key").exists()


@requirement("S-470")
def test_an_older_file_is_read_beside_the_new_one(tmp_path: Path) -> None:
    older = SecretKey.file(tmp_path / "old.key")
    both = SecretKey.file(tmp_path / "new.key", older=tmp_path / "old.key")
    assert both.keys == (SecretKey.file(tmp_path / "new.key").keys[0], older.keys[0])


@requirement("A-342", "A-334", "D-16")
def test_a_key_shows_itself_to_nobody() -> None:
    key = SecretKey(KEY, older=b"o" * 32)
    for text in (repr(key), str(key), f"{key}", f"{[key]}", f"{key!a}"):
        assert "SecretKey(***)" in text
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            copying(key)
    with pytest.raises(AttributeError):
        key.other = 1  # type: ignore[attr-defined]
    try:
        raise RuntimeError(key)
    except RuntimeError:
        assert "xab" not in traceback.format_exc()


@requirement("S-472", "A-332")
def test_a_generated_key_is_another_each_time() -> None:
    assert len({SecretKey.generate().keys for _ in range(100)}) == 100
