"""The look of the pages, in one sheet that is loaded from this server."""

from __future__ import annotations

STYLESHEET = """\
:root { color-scheme: light dark; }
body { margin: 0; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 0 auto; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; }
label, input { display: block; width: 100%; box-sizing: border-box; font: inherit; }
label { margin: 1rem 0; }
button { font: inherit; margin: 1rem 1rem 0 0; padding: .5rem 1.5rem; }
.host { font-size: 1.75rem; font-weight: bold; line-height: 1.2; margin: 0 0 1rem; }
.site { font-size: 1.25rem; }
.name { display: inline-block; max-width: 100%; max-height: 3em; overflow: hidden; vertical-align: top; }
.warning { border: 2px solid #b00; padding: .5rem 1rem; }
dt { font-weight: bold; margin-top: 1rem; }
dd { margin: 0; }
ul { margin: 0; padding-left: 1.25rem; }
pre { white-space: pre-wrap; }
"""
