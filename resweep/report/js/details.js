// One run: its values, configuration, command, log and manifest, in a pane beside everything else.

const TEXTS = { config: "Configuration", filled: "Filled template", command: "Command", log: "Log", manifest: "Manifest" };
let before = null; // what had the focus

function openRun(run) {
  before ??= document.activeElement;
  change({ open: run });
  requestAnimationFrame(() => document.getElementById("close").focus());
}

function closeRun() {
  change({ open: null });
  before?.focus?.();
  before = null;
}

function addDetails() {
  document.getElementById("close").addEventListener("click", closeRun);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.open !== null) closeRun();
  });
  const tabs = document.getElementById("tabs");
  tabs.append(...[["values", "Values"], ...Object.entries(TEXTS)].map(([name, title]) => element("button", {
    role: "tab", id: `tab-${name}`, "aria-controls": "tab-panel", onclick: () => change({ tab: name }),
  }, title)));
  tabs.addEventListener("keydown", moveTab);
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const every = [...event.currentTarget.children];
  const next = every[(every.indexOf(document.activeElement) + step + every.length) % every.length];
  next.click();
  next.focus();
}

function drawDetails() {
  const pane = document.getElementById("details");
  pane.hidden = state.open === null;
  if (state.open === null) return;
  const run = state.open;
  const tab = Object.hasOwn(TEXTS, state.tab) ? state.tab : "values";
  fill("details-title", runName(run), element("span", { class: `dot ${shown(own.state, run)}` }, shown(own.state, run)));
  for (const button of document.getElementById("tabs").children) {
    const chosen = button.id === `tab-${tab}`;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
  document.getElementById("tab-panel").setAttribute("aria-labelledby", `tab-${tab}`);
  fill("tab-panel", ...(tab === "values" ? valuesOf(run) : textOf(run, tab)));
}

function textOf(run, tab) {
  const place = page.details.runs[run]?.[tab];
  if (place !== undefined) return [element("pre", { tabindex: "0" }, page.details.texts[place])];
  if (page.details.runs[run]) return [element("p", { class: "empty" }, tab === "log" ? "There is no log." : "This run has none.")];
  return [
    element("p", { class: "empty" }, "The page holds the texts of the best, of failed and of running runs; this one’s are shown by"),
    element("pre", { tabindex: "0" }, commandFor(run, tab)),
  ];
}

function commandFor(run, tab) {
  const home = `config/generated/${page.sweeps[runs.sweep[run]]}/${runs.trial[run]}`;
  const commands = { config: `resweep show '${runName(run)}' --toml`, filled: `resweep show '${runName(run)}' --json`, log: `resweep logs '${runName(run)}'`, manifest: `cat ${home}/manifest.json` };
  return commands[tab] ?? `cat ${home}/train.sh`;
}

function valuesOf(run) {
  const rows = [own.trial, own.state, ...swept, ...metrics, own.seconds, own.ended, own.host, own.cause, own.problem]
    .filter((each) => shown(each, run) !== "")
    .map((each) => [each.name, exact(each, run)]);
  const repeats = everyRun.filter((other) => runs.point[other] === runs.point[run] && other !== run);
  const links = repeats.slice(0, 20).map((other) => element("button", { class: "link", onclick: () => openRun(other) }, runName(other)));
  return [
    element("table", { class: "values" }, element("tbody", {}, ...rows.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value))))),
    links.length ? element("p", {}, "Repeats: ", ...links) : "",
  ];
}
