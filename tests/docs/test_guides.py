"""The programs in the guides run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted(page.name for page in (ROOT / "docs").glob("*.md") if "```python" in page.read_text(encoding="utf-8"))
PROGRAMS = [
    pytest.param(program, id=f"{guide}-{number}")
    for guide in GUIDES
    for number, program in enumerate(
        re.findall(
            r"<!-- tested -->\n```python\n(.*?)```", (ROOT / "docs" / guide).read_text(encoding="utf-8"), re.DOTALL
        )
    )
]


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_a_guide_runs(program: str, tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.requirement("G-01")
def test_every_program_of_the_guides_is_run() -> None:
    blocks = sum((ROOT / "docs" / guide).read_text(encoding="utf-8").count("```python") for guide in GUIDES)
    assert len(PROGRAMS) == blocks >= 10


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize("guide", GUIDES)
def test_every_file_that_a_guide_points_to_is_there(guide: str) -> None:
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / "docs" / target).resolve().exists(), target
