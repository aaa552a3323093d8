// Filters on learning curves: what a curve has at a step is a column like any other, and a drag along a step filters it.

const PARTS = ["validation", "", "train", "test"]; // the first that there is, is filtered until somebody chooses
const CLICK = 4; // pixels: who moves the mouse by less clicks on a curve
let stepPart = null;

// step: null is the last of each curve, wherever it ends
function stepColumn(measure, part, step) {
  const { name, axis } = page.curves.measures[measure];
  const key = `curve.${JSON.stringify([name, axis, part, step])}`;
  if (!columns.has(key)) {
    const said = `${part ? `${part} ` : ""}${name} at ${step === null ? `the last ${axis}` : `${axis} ${number(step)}`}`;
    columns.set(key, column(key, said, everyRun.map((run) => valueAtStep(run, measure, part, step)), { kind: "curve", measure, step }));
  }
  return columns.get(key);
}

// a column that an address names, if there is such a one
function columnNamed(key) {
  if (columns.has(key) || !key.startsWith("curve.")) return columns.get(key);
  try {
    const [name, axis, part, step] = JSON.parse(key.slice("curve.".length));
    const measure = page.curves.measures.findIndex((each) => each.name === name && each.axis === axis);
    const fits = measure >= 0 && partsOf(measure).includes(part) && (step === null || Number.isFinite(step));
    return fits ? stepColumn(measure, part, step) : undefined;
  } catch {
    return undefined;
  }
}

// as the curve is drawn: between two of its points on the line between them, and nowhere beyond its ends
function valueAtStep(run, measure, part, step) {
  const [, , steps, values] = (page.curves.runs[run] ?? []).find((each) => each[0] === measure && each[1] === part) ?? [];
  if (!steps) return null;
  if (step === null) return values.at(-1);
  const next = steps.findIndex((each) => each >= step);
  if (next < 0 || steps[next] === step) return next < 0 ? null : values[next];
  if (next === 0 || values[next] === null || values[next - 1] === null) return null;
  const share = (step - steps[next - 1]) / (steps[next] - steps[next - 1]);
  return values[next - 1] + share * (values[next] - values[next - 1]);
}

const partsByMeasure = new Map();

function partsOf(measure) {
  if (!partsByMeasure.has(measure)) {
    const every = Object.values(page.curves.runs).flat().filter((each) => each[0] === measure).map((each) => each[1]);
    const rank = (part) => (PARTS.includes(part) ? PARTS.indexOf(part) : PARTS.length);
    partsByMeasure.set(measure, [...new Set(every)].sort((one, other) => rank(one) - rank(other)));
  }
  return partsByMeasure.get(measure);
}

function partNow() {
  const parts = partsOf(state.measure);
  return parts.includes(stepPart) ? stepPart : parts[0];
}

// --- by hand: a step and a condition as above a column of the table

function addSteps() {
  document.getElementById("step-part").addEventListener("change", (event) => {
    stepPart = event.target.value;
    drawSteps();
  });
  const condition = document.getElementById("step-condition");
  condition.addEventListener("input", () => condition.setCustomValidity(""));
  document.getElementById("at-step").addEventListener("submit", (event) => {
    event.preventDefault();
    filterByHand(condition, document.getElementById("step").value.trim());
  });
}

function filterByHand(condition, written) {
  const step = written === "" ? null : Number(written);
  const column = stepColumn(state.measure, partNow(), Number.isFinite(step) ? step : null);
  if (!comparison(column, condition.value)) {
    condition.setCustomValidity("Expected a condition such as >0.7, <=0.2 or 0.6..0.8");
    condition.reportValidity();
    return;
  }
  setFilter(column.key, { text: condition.value.trim() });
}

function drawSteps() {
  const parts = partsOf(state.measure);
  const select = document.getElementById("step-part");
  select.replaceChildren(...parts.map((part) => element("option", { value: part }, part || page.curves.measures[state.measure].name)));
  select.value = partNow();
  select.hidden = parts.length < 2;
  const part = partNow();
  fill("step-hint", `Drag up or down along a step to keep the runs whose ${part ? `${part} ` : ""}curve passes there.`);
  fill("step-axis", page.curves.measures[state.measure].axis);
}

// --- by mouse: a drag up or down along the nearest step; a finger scrolls, and has the boxes below

function listenToSteps(chart) {
  const band = element("div", { class: "step-band", hidden: true });
  chart.element.append(band);
  chart.element.addEventListener("pointerdown", (event) => {
    const start = placeIn(chart, event);
    if (event.button !== 0 || event.pointerType === "touch" || !chart.lines.length || !chart.instance.containPixel("grid", start)) return;
    const step = nearestStep(chart, chart.instance.convertFromPixel("grid", start)[0]);
    followDrag((moved) => showBand(band, chart, step, start[1], placeIn(chart, moved)[1]), (ended) => {
      band.hidden = true;
      const end = placeIn(chart, ended)[1];
      if (Math.abs(end - start[1]) > CLICK) filterAtStep(chart, step, start[1], end);
    });
  });
}

function followDrag(move, end) {
  const stop = (event) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    if (event.type === "pointerup") end(event);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}

function placeIn(chart, event) {
  const box = chart.element.getBoundingClientRect();
  return [event.clientX - box.x, event.clientY - box.y];
}

function nearestStep(chart, wanted) {
  const steps = chart.lines.flatMap((each) => each.steps);
  return steps.reduce((best, each) => (Math.abs(each - wanted) < Math.abs(best - wanted) ? each : best));
}

function showBand(band, chart, step, from, to) {
  const [x] = chart.instance.convertToPixel("grid", [step, 0]);
  band.hidden = Math.abs(to - from) <= CLICK;
  Object.assign(band.style, { left: `${x - 6}px`, top: `${Math.min(from, to)}px`, height: `${Math.abs(to - from)}px` });
}

function filterAtStep(chart, step, from, to) {
  const [one, other] = [from, to].map((y) => chart.instance.convertFromPixel("grid", [0, y])[1]);
  setFilter(stepColumn(state.measure, partNow(), step).key, { ranges: [[Math.min(one, other), Math.max(one, other)]] });
}

// --- what is filtered stands on the chart, as brushes do on their axes, and is said

function stepFilters() {
  return Object.entries(state.filters).map(([key, filter]) => ({ ...columns.get(key), filter })).filter((each) => each.kind === "curve");
}

function stepBands(lines) {
  const [low, high] = extent(lines.flatMap((each) => each.values)) ?? [0, 0];
  const inside = (value) => Math.max(low, Math.min(high, value)); // an end beyond the curves must not widen their axis
  const shownHere = stepFilters().filter((each) => each.measure === state.measure && each.step !== null && each.filter.ranges);
  return shownHere.map(({ step, filter }, place) => ({
    type: "line", id: `band${place}`, silent: true, showSymbol: false, z: 1, lineStyle: { color: colours().accent, width: 12, opacity: 0.25, cap: "butt" },
    data: filter.ranges[0].map((value) => [step, inside(value)]),
  }));
}

function sayStepFilters() {
  const filters = stepFilters();
  if (!filters.length) return "";
  const without = everyRun.filter((run) => filters.some((each) => each.values[run] === null)).length;
  return ` ${filters.length === 1 ? "The filter" : "The filters"} on curves left out ${plural(without, "run")} without a value there${page.curves.asked < begunRuns() ? ", also those whose curves this page does not have" : ""}.`;
}
