"""Builds what would be released and compares it with the repository: the wheel holds the tracked files, all of them
and nothing else, and the changelog speaks of the version.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent


def tracked_files(folder: str) -> set[str]:
    """The files of a package as git knows them, or as they lie there when this is no git checkout."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    if (ROOT / ".git").exists():
        listing = subprocess.run([*git, "ls-files", "-z", "--", folder], check=True, capture_output=True, text=True)
        return {name for name in listing.stdout.split("\0") if name}
    print(f"no git checkout: {folder} is compared with the files that lie there")
    files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(ROOT).as_posix() for path in files}


def built_wheel(out: Path) -> Path:
    """The wheel, made from the source distribution as an installer without a wheel would make it."""
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)]
    build = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if build.returncode:
        sys.exit(f"{build.stdout}\npython -m build failed")
    (wheel,) = out.glob("*.whl")
    return wheel


def complaints() -> list[str]:
    """Every difference, as a sentence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    expected = {
        f"{Path(folder).name}/{Path(name).relative_to(folder).as_posix()}"
        for folder in packages
        for name in tracked_files(folder)
    }
    with tempfile.TemporaryDirectory() as out, ZipFile(built_wheel(Path(out))) as wheel:
        shipped = {name for name in wheel.namelist() if f"-{version}.dist-info/" not in name}
    found = [f"in the wheel, but not tracked by git: {name}" for name in sorted(shipped - expected)]
    found += [f"tracked by git, but not in the wheel: {name}" for name in sorted(expected - shipped)]
    if f"\n## [{version}]" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        found.append(f"CHANGELOG.md has no section for version {version}")
    if not found:
        print(f"the wheel of {version} holds the {len(shipped)} tracked files; the changelog speaks of {version}")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(complaints()) or 0)
