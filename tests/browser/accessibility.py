"""axe-core: the rules of accessibility that a program can check, run inside a page of the browser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import Page


@dataclass(frozen=True)
class Axe:
    """The text of the library. It is put into a page by the debugger, so that no policy of the page hinders it."""

    source: str

    SOURCES: ClassVar[Path] = Path(__file__).with_name("node")

    @classmethod
    def of(cls, folder: Path) -> Axe:
        """The library from a folder where its packages are installed."""
        return cls((folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))

    def findings(self, page: Page) -> list[str]:
        """What every rule of axe has to say against the page, also those that are good practice and no standard."""
        debugger = page.context.new_cdp_session(page)
        try:
            self._evaluate(debugger, f"{self.source}; undefined")
            result = self._evaluate(debugger, "axe.run(document).then((found) => JSON.stringify(found.violations))")
        finally:
            debugger.detach()
        return [
            f"{rule['id']}: {rule['help']}: {node['target']} {node['html'][:200]} {node.get('failureSummary', '')}"
            for rule in json.loads(result)
            for node in rule["nodes"]
        ]

    @staticmethod
    def _evaluate(debugger: Any, expression: str) -> Any:
        options = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = debugger.send("Runtime.evaluate", options)
        if "exceptionDetails" in answer:
            raise AssertionError(f"axe failed: {answer['exceptionDetails']}")
        return answer["result"].get("value")
