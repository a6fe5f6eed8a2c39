// The playground: runs the steps, one by one or all, and picks up the thread when the browser comes back with a code.

import { ask, Surprise } from "./client.js";
import { arrive, disconnect, leave, SCOPES, STEPS } from "./steps.js";
import { Tab } from "./tab.js";
import { activateTabs, showTab } from "./tabs.js";
import { element, holdings, shownExchange, stepCard } from "./view.js";

const PAUSE_MILLISECONDS = 800; // between the steps of a whole run, so that an eye can follow

const page = document.querySelector("main");
const status = document.getElementById("status");
const list = document.getElementById("steps");
const runAll = document.getElementById("run-all");
const startOver = document.getElementById("start-over");
const tab = new Tab(page.dataset.issuer, countDown);
let busy = false;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const cardOf = (step) => document.getElementById(step.id);
const isDone = (step) => tab.outcomes[step.id]?.good === true;
const nextStep = () => STEPS.find((step) => !isDone(step));

/** Wait, and show for how long. The live region is told once, not every second. */
async function countDown(seconds, why) {
  status.textContent = `${why}. Waiting ${seconds} seconds.`;
  const bar = element("progress", { max: seconds, value: 0, "aria-label": "Waiting" });
  cardOf(nextStep()).querySelector(".actions").append(bar);
  for (let second = 1; second <= seconds; second += 1) {
    await pause(1000);
    bar.value = second;
  }
  bar.remove();
}

/** Show a step as it stands. `seen` are the explanations given before it, `open` whether its exchanges are unfolded. */
async function showStep(step, seen, open) {
  const [card, outcome] = [cardOf(step), tab.outcomes[step.id]];
  const next = nextStep();
  card.dataset.state = outcome === undefined ? (step === next ? "next" : "waiting") : outcome.good ? "done" : "failed";
  const button = card.querySelector("button");
  button.disabled = step !== next || busy;
  button.textContent = outcome?.good === false ? "Try again" : step.button;
  button.hidden = outcome?.good === true;
  const words = card.querySelector(".outcome");
  words.hidden = outcome === undefined;
  words.textContent = outcome?.words ?? "";
  const exchanges = [];
  for (const exchange of outcome?.exchanges ?? []) exchanges.push(await shownExchange(exchange, seen, open));
  card.querySelector(".exchanges").replaceChildren(...exchanges);
}

/** Show everything as it stands, the exchanges of one step unfolded. */
async function show(opened) {
  const seen = new Set();
  for (const step of STEPS) await showStep(step, seen, step === opened);
  offerStepUp();
  document.getElementById("holdings").replaceChildren(...holdings(tab));
  runAll.disabled = busy || nextStep() === undefined;
  runAll.textContent = nextStep() === STEPS[0] ? "Run all" : "Run the rest";
  document.getElementById("finished").hidden = nextStep() !== undefined;
}

/** After a 403, the other way to get on: ask the person for what was missing. */
function offerStepUp() {
  const step = STEPS.find((candidate) => candidate.more !== undefined);
  const actions = cardOf(step).querySelector(".actions");
  actions.querySelector(".step-up")?.remove();
  if (!isDone(step) || nextStep()?.id !== "refresh" || tab.outcomes[step.id].steppedUp) return;
  const button = element("button", { type: "button", class: "step-up second" }, `Or ask the person for ${tab.missing}`);
  button.disabled = busy;
  button.addEventListener("click", () => go(step, [tab.newest("access").scope, tab.missing].join(" ")));
  actions.append(button);
}

/** Do something that sends requests for a step, and remember what came out of it. */
async function carryOut(step, run, before = []) {
  const exchanges = [...before];
  const send = async (...request) => {
    const exchange = await ask(...request);
    exchanges.push(exchange);
    return exchange;
  };
  let outcome;
  try {
    outcome = { good: true, words: await run(tab, send), exchanges };
  } catch (error) {
    if (!(error instanceof Surprise)) throw error;
    outcome = { good: false, words: error.message, exchanges };
  }
  tab.outcomes[step.id] = outcome;
  tab.keep();
  status.textContent = `${outcome.good ? "Done" : "Not done"}: ${step.title}. ${outcome.words}`;
  return outcome;
}

/** Leave this page for the server's, to ask for a scope. */
async function go(step, scope) {
  busy = true;
  const outcome = await carryOut(step, async () => {
    await leave(tab, scope, step.id);
    return step.id === "authorize" ? "The browser is on its way." : tab.outcomes[step.id].words;
  }, tab.outcomes[step.id]?.exchanges ?? []);
  busy = false;
  if (!outcome.good) return show(step);
  if (step.id === "authorize") delete tab.outcomes[step.id];
  tab.keep();
  window.location.assign(tab.flow.target);
}

async function run(step) {
  if (step.run === undefined) return go(step, SCOPES(tab));
  busy = true;
  cardOf(step).dataset.state = "running";
  await show(step);
  await carryOut(step, step.run);
  busy = false;
  await show(step);
}

async function runOne(step) {
  await run(step);
  cardOf(step).scrollIntoView({ block: "start" });
  cardOf(nextStep() ?? step).querySelector("button:not([hidden])")?.focus({ preventScroll: true });
}

async function runTheRest() {
  tab.runsAll = true;
  tab.keep();
  for (let step = nextStep(); step !== undefined && tab.runsAll; step = nextStep()) {
    cardOf(step).scrollIntoView({ block: "nearest" });
    await run(step);
    // A failure ends the run; the way to the consent page interrupts it, and it goes on when the browser is back.
    if (step.run === undefined) return;
    if (!isDone(step)) break;
    await pause(PAUSE_MILLISECONDS);
  }
  tab.runsAll = false;
  tab.keep();
  if (nextStep() === undefined) document.getElementById("finished").scrollIntoView({ block: "nearest" });
}

/** The redirect to this page, shown like an exchange. */
function redirectBack(target, parameters) {
  const back = { request: { method: "GET", url: target, headers: {} } };
  return { ...back, answer: { status: 303, headers: {}, json: Object.fromEntries(parameters) } };
}

/** Take the answer out of the address bar, and go on where this tab had left. */
async function comeBack(parameters) {
  history.replaceState(null, "", "/");
  const step = STEPS.find(({ id }) => id === tab.flow?.purpose) ?? STEPS.find(({ id }) => id === "authorize");
  const exchange = redirectBack(tab.flow?.target ?? `${tab.issuer}/authorize`, parameters);
  const earlier = step.more === undefined ? undefined : tab.outcomes[step.id];
  const outcome = await carryOut(step, () => arrive(tab, parameters), [...(earlier?.exchanges ?? []), exchange]);
  if (earlier !== undefined) {
    if (outcome.good) await carryOut(step, step.more, outcome.exchanges);
    // Whatever came of it, what had been seen before stays true, and the next step can be taken.
    Object.assign(tab.outcomes[step.id], { good: true, steppedUp: tab.outcomes[step.id].good });
    tab.keep();
  }
  await show(step);
  cardOf(step).scrollIntoView({ block: "start" });
  if (!isDone(step)) tab.runsAll = false;
  if (tab.runsAll) return runTheRest();
  cardOf(nextStep() ?? step).querySelector("button:not([hidden])")?.focus({ preventScroll: true });
}

async function begin() {
  activateTabs();
  for (const [index, step] of STEPS.entries()) {
    const card = stepCard(step, index + 1);
    card.querySelector("button").addEventListener("click", () => runOne(step));
    list.append(card);
  }
  runAll.addEventListener("click", runTheRest);
  startOver.addEventListener("click", async () => {
    await disconnect(tab);
    tab.forget();
    status.textContent = "Everything is forgotten.";
    await show(null);
  });
  document.documentElement.classList.add("running");
  const parameters = new URLSearchParams(window.location.search);
  const isBack = window.location.pathname === "/callback" && ["code", "error"].some((name) => parameters.has(name));
  if (isBack && parameters.has("state")) return comeBack(parameters);
  if (isBack) showTab("curl");
  tab.runsAll = false;
  const latest = STEPS.findLast((step) => tab.outcomes[step.id] !== undefined);
  await show(latest ?? null);
}

await begin();
