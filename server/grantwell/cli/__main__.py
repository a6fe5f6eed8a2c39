"""Runs the command line as `python -m grantwell.cli`."""

from . import main

main(prog_name="grantwell")
