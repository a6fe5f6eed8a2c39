"""Starts the Chromium that the machine has; no browser is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Chromium without a window, while the body runs. Skips the test that asks, and says why, where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("Chromium not found (apt-get install chromium, or name it in $CHROMIUM): no page was looked at")
    # Its sandbox does not run as root, and what it is shown here is ours.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*arguments, "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
