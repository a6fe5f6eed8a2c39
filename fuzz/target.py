"""One target under atheris, as `python -m fuzz` starts it: `python -m fuzz.target NAME [OPTION OF LIBFUZZER …]`."""

from __future__ import annotations

import importlib
import re
import sys

INSTRUMENTED = ["grantwell._protocol", "grantwell._urls", "tests.properties", "json", "ipaddress", "urllib.parse"]


def main() -> None:
    """Fuzz a target until libFuzzer ends the process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=INSTRUMENTED):
        seeds = importlib.import_module("fuzz.seeds")
        parsers = importlib.import_module("tests.properties.parsers")
        scanning = importlib.import_module("tests.properties.scanning")
    name, *options = sys.argv[1:]
    parser = next(parser for parser in parsers.PARSERS if parser.name == name)
    wanted = next((int(found[1]) for option in options if (found := re.fullmatch(r"-runs=(\d+)", option))), 0)
    executed = read = 0

    def judge(data: bytes) -> None:
        nonlocal executed, read
        dressed = seeds.dressed(name, data)
        if complaint := parser.complaint(dressed):
            raise AssertionError(complaint)
        read += isinstance(parser.verdict(dressed), scanning.Read)
        executed += 1
        if executed == wanted:
            # libFuzzer ends the process without a word to Python.
            print(f"{read} inputs were read", file=sys.stderr, flush=True)

    atheris.Setup([name, *options], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
