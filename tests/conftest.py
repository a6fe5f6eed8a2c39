"""What every test shares: asyncio as the event loop, repeatable Hypothesis runs, and the ties to requirements.toml."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"

# The suite tries the same inputs on every machine.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")

_NAMED = pytest.StashKey[Mapping[str, list[str]]]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio is the only event loop: the storage drivers know no other."""
    return "asyncio"


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option for the process that `named_requirements` starts."""
    parser.addoption("--write-requirements", metavar="FILE", help="write the requirement ids of each collected test")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note, before -k and -m take tests away, which ids each test names."""
    named = {item.nodeid: [id_ for mark in item.iter_markers("requirement") for id_ in mark.args] for item in items}
    config.stash[_NAMED] = named
    if file := config.getoption("--write-requirements"):
        Path(file).write_text(json.dumps(named), encoding="utf-8")


def _collected_everything(config: pytest.Config) -> bool:
    """Whether this run looked at every test file: it was given the whole of tests/ and told to skip nothing."""
    roots = {config.invocation_params.dir.joinpath(arg).resolve() for arg in config.args}
    narrowed = any(config.getoption(name, None) for name in ("ignore", "ignore_glob", "deselect", "lf", "last_failed"))
    return bool(roots & {ROOT, TESTS}) and not narrowed


@pytest.fixture(scope="session")
def named_requirements(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[str]]:
    """The ids that each test of the whole suite names, collected in another process when this run sees only a part."""
    if _collected_everything(pytestconfig):
        return pytestconfig.stash[_NAMED]
    file = tmp_path_factory.mktemp("requirements") / "named.json"
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]
    collecting = subprocess.run(
        [*command, f"--write-requirements={file}", str(TESTS)], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if collecting.returncode:
        pytest.fail(f"the suite cannot be collected:\n{collecting.stdout}{collecting.stderr}", pytrace=False)
    named: Mapping[str, list[str]] = json.loads(file.read_text(encoding="utf-8"))
    return named
