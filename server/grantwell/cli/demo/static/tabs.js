// Two tabs, by the pattern of the ARIA authoring practices: one tab stop, arrow keys, and the panels that they control.

const tabs = () => [...document.querySelectorAll("[role=tab]")];

function select(chosen, { focus = false } = {}) {
  for (const tab of tabs()) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
  if (focus) chosen.focus();
}

/** Show the panel of this id. */
export function showTab(id) {
  select(tabs().find((tab) => tab.getAttribute("aria-controls") === id));
}

/** Let the tabs answer to the mouse and to the arrow keys. */
export function activateTabs() {
  document.querySelector("[role=tablist]").hidden = false;
  for (const [index, tab] of tabs().entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      select(tabs().at((index + step) % tabs().length), { focus: true });
    });
  }
  showTab("play");
}
