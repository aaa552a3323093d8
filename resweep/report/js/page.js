// Puts the page together: what is above the charts, who is told of a change, reloading while trials run, and paper.

function addSelectors() {
  const metric = document.getElementById("metric");
  metric.append(...metrics.map((each) => element("option", { value: each.key }, each.name)));
  metric.addEventListener("change", () => change({ metric: metric.value, mode: columns.get(metric.value).mode }));
  const mode = document.getElementById("mode");
  mode.addEventListener("change", () => change({ mode: mode.value }));
  const colour = document.getElementById("colour");
  colour.append(element("option", { value: "metric" }, "the metric"));
  for (const each of [...(page.sweeps.length > 1 ? [own.sweep] : []), ...varying(), own.state]) colour.append(element("option", { value: each.key }, each.name));
  colour.addEventListener("change", () => change({ colour: colour.value }));
  const by = document.getElementById("by");
  by.addEventListener("change", () => change({ by: by.value }));
  document.getElementById("clear").addEventListener("click", () => change({ filters: {} }));
  document.getElementById("by-label").hidden = !repeated() || onePoint();
  document.getElementById("colour-label").hidden = !varying().length; // there are no lines to colour
}

function drawSelectors() {
  document.getElementById("metric").value = state.metric;
  for (const name of ["mode", "colour", "by"]) document.getElementById(name).value = state[name];
}

function drawFilters() {
  const entries = Object.entries(state.filters);
  fill("count", element("b", {}, selected().length.toLocaleString("en")), ` of ${plural(count, "run")}`);
  fill("chips", ...entries.map(([key, filter]) => {
    const text = said(columns.get(key), filter);
    return element("button", { class: "chip", title: text, "aria-label": `Remove the filter ${text}`, onclick: () => setFilter(key, null) }, short(text, 60), element("span", { "aria-hidden": "true" }, " ✕"));
  }));
  document.getElementById("clear").hidden = !entries.length;
}

// what the charts cannot show is said, not left out in silence
function drawMissing() {
  const metric = metricNow();
  const missing = selected().filter((run) => isEmpty(metric, run));
  const odd = missing.filter((run) => metric.odd[run] !== undefined).length;
  const parts = runs.states.flatMap((name, code) => {
    const some = missing.filter((run) => runs.state[run] === code && metric.odd[run] === undefined).length;
    return some ? [`${some.toLocaleString("en")} ${name}`] : [];
  });
  const words = [...(odd ? [`${odd.toLocaleString("en")} that diverged (NaN or infinite) or are no number`] : []), ...parts];
  fill("missing", words.length ? `Without a value for ${metric.name}, thus in no chart of it: ${words.join(", ")}.` : "");
}

// what the charts mark otherwise
function sayPruned() {
  const some = selected().filter((run) => runs.state[run] === PRUNED && !isEmpty(metricNow(), run)).length;
  fill("pruned-note", some ? " Hollow ones were pruned: each stands at the value at which it stopped, and the line leaves them out." : "");
}

function drawLegends() {
  const items = page.sweeps.length > 1 ? page.sweeps.map((name, sweep) => legendItem(name, sweepColour(sweep), MARKS[sweepSymbol(sweep)])) : [];
  fill("sweep-legend", ...items);
  const column = colourColumn();
  if (column?.labels && column.labels.length <= SWEEPS.length) {
    fill("colour-legend", ...column.labels.map((label, code) => legendItem(label, SWEEPS[code])));
    return;
  }
  const [low, high] = column ? (extent(different(column)) ?? [null, null]) : [null, null];
  const ramp = element("span", { class: "ramp" });
  const colours = column === metricNow() && state.mode === "min" ? gradient().reverse() : gradient();
  ramp.style.background = `linear-gradient(90deg, ${colours.join(", ")})`;
  fill("colour-legend", ...(column && low !== null ? [`${column.name} ${plain(column, low)} `, ramp, ` ${plain(column, high)}`] : []));
}

const MARKS = { circle: "●", rect: "■", triangle: "▲", diamond: "◆" };

// a name behind its colour, or its mark in its colour
function legendItem(name, colour, mark = null) {
  const swatch = element("span", { class: mark ? "mark" : "swatch" }, mark ?? "");
  swatch.style[mark ? "color" : "background"] = colour;
  return element("span", { class: "legend" }, swatch, short(name, 30));
}

function redraw() {
  drawSelectors();
  drawFilters();
  drawStates();
  drawBest();
  drawPanels(); // before charts, which are drawn where they can be seen
  if (metricNow()) {
    drawMissing();
    sayPruned();
    drawLegends();
    drawImportance();
    redrawCharts();
  }
  drawFailures();
  drawCompare();
  drawTable();
  drawDetails();
}

// --- while trials run the file is written again and again, and this page reads it again; what is chosen stays

function startWatch() {
  if (!page.watch) return;
  const button = document.getElementById("watch");
  const say = () => { button.textContent = state.paused ? "Resume updates" : `Updates every ${page.watch} s · pause`; };
  button.hidden = false;
  button.addEventListener("click", () => { change({ paused: !state.paused }); say(); });
  say();
  setInterval(() => { if (!state.paused && state.open === null && !document.getElementById("columns-menu").open) location.reload(); }, page.watch * 1000);
}

// --- paper: light, every chart drawn, and the best of the chosen runs as a plain table

const PRINTED = 40;
let themeBefore = null;

function beforePrint() {
  themeBefore = document.documentElement.dataset.theme;
  setTheme("light");
  redraw();
  for (const chart of charts) drawChart(chart);
  const shownColumns = tableColumns().slice(0, 9);
  const chosen = orderedByMetric(selected()).reverse().slice(0, PRINTED);
  fill("printed",
    element("table", {}, element("thead", {}, element("tr", {}, ...shownColumns.map((each) => element("th", {}, each.name)))),
      element("tbody", {}, ...chosen.map((run) => element("tr", {}, ...shownColumns.map((each) => element("td", {}, short(shown(each, run), 30))))))),
    element("p", { class: "note" }, `${plural(chosen.length, "run")} of ${selected().length.toLocaleString("en")} chosen`));
}

function afterPrint() {
  setTheme(themeBefore);
  redraw();
}

// by hand: the address holds the filters, and has no room for a place
function addSkip() {
  const skip = document.querySelector(".skip");
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    showBox(skip.getAttribute("href").slice(1));
  });
}

function showBox(id) {
  const box = document.getElementById(id);
  box.focus({ preventScroll: true });
  box.scrollIntoView();
}

function start() {
  readAddress();
  startTheme();
  addSelectors();
  addDetails();
  if (metricNow()) {
    addParallel();
    addParameterCharts();
    addProgress();
    addCurves();
  } else {
    for (const box of document.querySelectorAll(".needs-metric")) box.hidden = true;
  }
  addCompare();
  addColumnsMenu();
  addCsv();
  addTable();
  addSkip();
  listeners.push(redraw);
  addEventListener("hashchange", () => { readAddress(); redraw(); });
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
  redraw();
  startWatch();
}

start();
// for whoever asks the page from outside, as its tests do
window.report = { page, state, columns, change, setFilter, selected, charts, expectedCurves, bestSoFar, byPoint, correlation, correlated, chance, median, sweepStroke, sweepSymbol, metricNow, chosenCurves, table: () => table, tableColumns, csvOf, compared, stepColumn, smoothed, layPanels };
