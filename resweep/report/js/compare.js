// A few runs side by side, whatever is filtered: what differs in what was swept, their metrics, and their curves alone.

const MOST_COMPARED = 8; // as many as have a colour of their own

function compared() {
  return state.compare.map(runNamed);
}

function toggleCompared(run) {
  const name = runName(run);
  if (state.compare.includes(name)) change({ compare: state.compare.filter((each) => each !== name) });
  else if (state.compare.length < MOST_COMPARED) change({ compare: [...state.compare, name] });
}

// --- how runs are picked: a box in each row of the table, and what is picked said beside the filters

const picks = new Map(); // by run its box; rows that are out of sight keep theirs

function pickDefinition() {
  return {
    title: "", width: 38, headerSort: false, resizable: false, hozAlign: "center", cssClass: "pick", frozen: innerWidth > 700,
    titleFormatter: () => element("span", { title: "Compare", "aria-label": "Compare" }, "⇄"),
    formatter: (cell) => pickOf(cell.getData().run),
  };
}

function pickOf(run) {
  const box = element("input", { type: "checkbox", "aria-label": `Compare ${runName(run)}` });
  box.addEventListener("change", () => toggleCompared(run));
  picks.set(run, box);
  showPick(box, run, new Set(state.compare));
  return box;
}

function showPick(box, run, names) {
  box.checked = names.has(runName(run));
  box.disabled = !box.checked && names.size >= MOST_COMPARED;
  box.title = box.disabled ? `At most ${MOST_COMPARED} runs are compared` : "Compare";
}

function drawPicks() {
  const names = new Set(state.compare);
  for (const [run, box] of picks) showPick(box, run, names);
}

function addCompare() {
  document.getElementById("compare-go").addEventListener("click", () => showBox("compare-box"));
  document.getElementById("compare-stop").addEventListener("click", () => {
    change({ compare: [] });
    document.getElementById("table-box").focus({ preventScroll: true });
  });
  document.getElementById("details-compare").addEventListener("click", () => toggleCompared(state.open));
  if (!metricNow() || !page.curves.measures.length) return document.getElementById("compare-curves-box").remove();
  addMeasures("compare-measure");
  addSmoothing("compare-smooth");
  const chart = addChart("compare-curves", () => {
    const some = compared();
    chart.lines = curveLines(some, (_, place) => SWEEPS[place]);
    document.getElementById("compare-measure").value = state.measure;
    drawSmoothing("compare-smooth");
    sayComparedCurves(some, chart.lines);
    return curveOptions(chart.lines, some.length);
  });
  chart.runsAt = (event) => curveAt(chart, event);
}

function sayComparedCurves(some, lines) {
  const without = some.filter((run) => !lines.some((each) => each.run === run));
  fill("compare-curves-note", `Their curves${saidParts(lines)}, in the colours above.${saySmoothed()}${without.length ? ` In this page there are none of ${without.map(runName).join(", ")}.` : ""}`);
}

// --- what is compared

function drawCompare() {
  const some = compared();
  const box = document.getElementById("compare-box");
  box.hidden = !some.length;
  document.getElementById("compare-bar").hidden = !some.length;
  fill("compare-go", some.length > 1 ? `Comparing ${some.length} runs ↓` : "Comparing 1 run ↓");
  drawCompareButton();
  if (!some.length) return;
  fill("compare", some.length > 1 ? sideBySide(some) : "");
  const curves = document.getElementById("compare-curves-box");
  if (curves) curves.hidden = some.length < 2;
  fill("compare-note", ...(some.length > 1 ? saidCompared(some) : [`${runName(some[0])} is chosen: choose another in the first column of the table, or by Space on its row.`]));
}

function drawCompareButton() {
  const button = document.getElementById("details-compare");
  if (state.open === null) return;
  const chosen = state.compare.includes(runName(state.open));
  button.setAttribute("aria-pressed", String(chosen));
  button.disabled = !chosen && state.compare.length >= MOST_COMPARED;
}

// whether a column tells these runs apart; having no value is one, too
function differs(column, some) {
  return some.some((run) => whole(column, run) !== whole(column, some[0]));
}

function sideBySide(some) {
  const about = [own.trial, own.state, ...[own.seconds, own.ended, own.host, own.cause, own.problem].filter((each) => differs(each, some))];
  const groups = [["Run", about], ["Swept values that differ", swept.filter((each) => differs(each, some))], ["Metrics that differ", orderedMetrics().filter((each) => differs(each, some))]];
  return element("table", { class: "compared" },
    element("thead", {}, element("tr", {}, element("td", {}), ...some.map(comparedHead))),
    ...groups.filter(([, rows]) => rows.length).map(([title, rows]) => element("tbody", {},
      element("tr", { class: "group" }, element("th", { colspan: some.length + 1, scope: "colgroup" }, title)),
      ...rows.map((each) => comparedRow(each, some)))));
}

// the one that the page is about comes first
function orderedMetrics() {
  const now = metricNow();
  return now ? [now, ...metrics.filter((each) => each !== now)] : metrics;
}

function comparedHead(run, place) {
  const swatch = element("span", { class: "swatch" });
  swatch.style.background = SWEEPS[place];
  return element("th", { scope: "col" }, element("div", {}, swatch, element("button", { class: "link", onclick: () => openRun(run) }, runName(run)),
    element("button", { class: "link remove", "aria-label": `Do not compare ${runName(run)}`, onclick: () => toggleCompared(run) }, "✕")),
    selected().includes(run) ? "" : element("span", { class: "quiet" }, "filtered out"));
}

function comparedRow(column, some) {
  return element("tr", {}, element("th", { scope: "row", title: column.name }, column.name), ...some.map((run, place) => comparedCell(column, run, place ? some[0] : null)));
}

// a metric has beside it how far it is from the first run's
function comparedCell(column, run, first) {
  if (column === own.state) return element("td", {}, cellOf(column, run));
  const text = column.kind === "swept" ? exact(column, run) : shown(column, run);
  const far = first === null || column.kind !== "metric" || isEmpty(column, run) || isEmpty(column, first) ? null : column.values[run] - column.values[first];
  return element("td", { title: exact(column, run) }, text || "–", far === null ? "" : element("span", { class: "quiet" }, ` ${far > 0 ? "+" : ""}${number(far).replace("-", "−")}`));
}

// what is not in the table, and why
function saidCompared(some) {
  const same = swept.filter((each) => !differs(each, some));
  const alike = metrics.filter((each) => !differs(each, some)).length;
  const repeats = new Set(some.map((run) => runs.point[run])).size === 1 && same.length === swept.length;
  const words = [
    repeats ? "These are repeats of one configuration." : "",
    same.length ? `The same in all: ${same.slice(0, 10).map((each) => `${short(each.name, 40)} ${short(exact(each, some[0]) || "none", 24)}`).join(", ")}${same.length > 10 ? `, and ${plural(same.length - 10, "more swept value")}` : ""}.` : "",
    alike ? `${plural(alike, "metric")} ${alike === 1 ? "is" : "are"} the same${page.digits === null ? "" : ` to ${page.digits} digits, which is what this page has`}.` : "",
    `Differences are to ${runName(some[0])}.`,
  ];
  const [one, other] = some.map((run) => `'${runName(run)}'`);
  return [`${words.filter(Boolean).join(" ")} Only what was swept is compared here: `, element("code", {}, `resweep diff ${one} ${other}`), " compares whole configurations, source and environment, too."];
}
