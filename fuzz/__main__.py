"""Fuzz the parsers, one process after another: `python -m fuzz [TARGET …] [--runs N]`; needs atheris.

Each target is a parser of the server beside the grammar that tests/properties has of it. A run ends at the first input
on which the two differ, or that raises an error which is not documented; the input is printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fuzz.seeds import seeds
from tests.properties.near_misses import FRAGMENTS
from tests.properties.parsers import PARSERS

MAX_INPUT_BYTES = 4096
MISSING = "The fuzzer needs atheris, which is no dependency of this project: pip install atheris"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How the fuzzing of one target ended. `complaint` is empty where nothing was found."""

    target: str
    runs: int
    read: int
    branches: int
    seconds: float
    complaint: str


def fuzz(target: str, runs: int, seed: int, corpus: Path) -> Result:
    """Fuzz one target in a process of its own; inputs that reach something new stay in the folder `corpus`."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sentence in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(sentence)
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words")
        words.write_text("".join(f'"{_escaped(fragment)}"\n' for fragment in FRAGMENTS), encoding="ascii")
        command = [
            *(sys.executable, "-m", "fuzz.target", target, f"-runs={runs}", f"-seed={seed}", "-print_final_stats=1"),
            *(f"-dict={words}", f"-max_len={MAX_INPUT_BYTES}", "-timeout=10", f"-artifact_prefix={folder}/"),
            str(corpus),
        ]
        began = time.monotonic()
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
    return Result(
        target=target,
        runs=_last(r"stat::number_of_executed_units: (\d+)", done.stdout),
        read=_last(r"(\d+) inputs were read", done.stdout),
        branches=_last(r"cov: (\d+)", done.stdout),
        seconds=time.monotonic() - began,
        complaint=done.stdout[-4000:] if done.returncode else "",
    )


def _escaped(fragment: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in fragment)


def _last(pattern: str, output: str) -> int:
    found = re.findall(pattern, output)
    return int(found[-1]) if found else 0


def main() -> int:
    """Fuzz what the command line names; 1 if something was found."""
    names = [parser.name for parser in PARSERS]
    arguments = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the parsers of the server.")
    arguments.add_argument("targets", nargs="*", choices=[[], *names], metavar="TARGET", help=", ".join(names))
    arguments.add_argument("--runs", type=int, default=125_000, help="inputs for each target (%(default)s)")
    arguments.add_argument("--seed", type=int, default=1, help="of the random numbers (%(default)s)")
    arguments.add_argument("--corpus", type=Path, help="a folder to keep the inputs that reach something new")
    options = arguments.parse_args()
    if find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 2
    found = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for target in options.targets or names:
            result = fuzz(target, options.runs, options.seed, (options.corpus or Path(folder)) / target)
            found += bool(result.complaint)
            total += result.runs
            print(
                f"{result.target:16} {result.runs:>9,} inputs, {result.read:>9,} read, {result.branches:>5} branches, "
                f"{result.seconds:>6.0f} s, {'DIVERGENCE' if result.complaint else 'no divergence'}",
                flush=True,
            )
            if result.complaint:
                print(result.complaint, flush=True)
    print(f"{total:,} inputs, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
