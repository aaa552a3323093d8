// Learning curves of the best of the chosen runs: training against validation, where both are there.

const DASHES = { validation: "solid", train: "dashed", test: "dotted", "": "solid" };

function addCurves() {
  if (!page.curves.measures.length) return;
  addMeasures("measure");
  addSmoothing("smooth");
  const most = document.getElementById("curve-count");
  most.addEventListener("change", () => change({ curves: Number(most.value) }));
  const chart = addChart("curves", () => drawCurves(chart));
  chart.runsAt = (event) => curveAt(chart, event);
  chart.started = listenToSteps;
  addSteps();
}

// a line says only which series it is: the curves are the first of them
function curveAt(chart, event) {
  const line = chart.lines[event.seriesIndex];
  return line ? { run: line.run } : null;
}

function addMeasures(id) {
  const measure = document.getElementById(id);
  measure.append(...page.curves.measures.map((each, place) => element("option", { value: place }, each.name)));
  measure.addEventListener("change", () => change({ measure: Number(measure.value) }));
}

// the curves of one measure of the best chosen runs
function chosenCurves() {
  const withCurves = orderedByMetric(selected()).reverse().filter((run) => ofMeasure(run).length);
  return { total: withCurves.length, best: withCurves.slice(0, state.curves) };
}

function ofMeasure(run) {
  return (page.curves.runs[run] ?? []).filter(([measure]) => measure === state.measure);
}

function drawCurves(chart) {
  const { total, best } = chosenCurves();
  document.getElementById("measure").value = state.measure;
  document.getElementById("curve-count").value = state.curves;
  chart.lines = curveLines(best);
  sayCurves(chart, total, best.length);
  drawCurveLegend(chart, best);
  drawSteps();
  drawSmoothing("smooth");
  const drawn = curveOptions(chart.lines, best.length);
  drawn.options.series.push(...stepBands(chart.lines));
  return drawn;
}

// the curves of these runs of the measure that is chosen, a run's colour by its place
function curveLines(some, colourOf = curveColour) {
  return some.flatMap((run, place) => ofMeasure(run).map(([, part, steps, values]) => ({ run, part, steps, values, colour: colourOf(run, place, some.length) })));
}

function curveOptions(lines, many) {
  const paint = colours();
  const measure = page.curves.measures[state.measure];
  const axis = { axisLabel: { color: paint.soft, fontSize: 11 }, axisLine: { show: true, lineStyle: { color: paint.line } }, splitLine: { lineStyle: { color: paint.faint } }, nameTextStyle: { color: paint.text } };
  return {
    says: `Learning curves of ${measure.name} of ${plural(many, "run")}`,
    options: {
      animation: false,
      grid: { left: 8, right: 16, top: 12, bottom: 24, containLabel: true },
      xAxis: { type: "value", scale: true, name: measure.axis, nameLocation: "middle", nameGap: 26, ...axis, ...extents(lines) },
      yAxis: { type: "value", scale: true, ...axis },
      series: [...lines.map((each, place) => curveSeries(each, place, many)), ...measuredBehind(lines, many)],
    },
  };
}

function extents(lines) {
  const ends = extent(lines.flatMap((each) => [each.steps[0], each.steps.at(-1)]));
  return ends && ends[0] < ends[1] ? { min: ends[0], max: ends[1] } : {};
}

function curveSeries({ part, steps, values, colour }, place, many, drawn = state.smooth ? smoothed(values, state.smooth) : values) {
  return {
    type: "line", id: `curve${place}`, triggerLineEvent: true, showSymbol: steps.length < 3, symbolSize: 5, connectNulls: false,
    lineStyle: { color: colour, width: part === "train" ? 1.3 : 2, type: DASHES[part] ?? "solid", opacity: many > 25 ? 0.5 : 0.9 },
    itemStyle: { color: colour }, emphasis: { focus: "series", lineStyle: { width: 3.5 } },
    data: steps.map((step, number) => [step, drawn[number]]),
  };
}

// of several sweeps the colours are theirs, as everywhere on the page; of one, its few best runs have one each
function curveColour(run, place, many) {
  if (page.sweeps.length > 1) return sweepColour(runs.sweep[run]);
  return many <= SWEEPS.length ? SWEEPS[place] : colours().accent;
}

// which curve is which: each of a few runs by name, or the sweeps; who points at a name sees its curves stand out
function drawCurveLegend(chart, best) {
  const named = best.length <= SWEEPS.length;
  const sweeps = [...new Set(best.map((run) => runs.sweep[run]))];
  const items = named ? best.map((run) => curveName(chart, run)) : page.sweeps.length > 1 ? sweeps.map((sweep) => legendItem(page.sweeps[sweep], sweepColour(sweep))) : [];
  fill("curves-legend", ...items);
}

function curveName(chart, run) {
  const places = chart.lines.flatMap((each, place) => (each.run === run ? [place] : []));
  const item = element("button", { class: "link", onclick: () => openRun(run) }, legendItem(runName(run), chart.lines[places[0]].colour));
  for (const [event, type] of [["mouseenter", "highlight"], ["focus", "highlight"], ["mouseleave", "downplay"], ["blur", "downplay"]]) {
    item.addEventListener(event, () => chart.instance.dispatchAction({ type, seriesId: places.map((place) => `curve${place}`) }));
  }
  return item;
}

// which lines are which part of the data
function saidParts(lines) {
  const parts = new Set(lines.map((each) => each.part));
  const words = ["train", "validation", "test"].filter((part) => parts.has(part)).map((part) => `${part} ${DASHES[part]}`);
  return words.length ? ` (${words.join(", ")})` : "";
}

// as many as could have curves
function begunRuns() {
  return runs.state.filter((code) => runs.states[code] !== "queued").length;
}

function sayCurves(chart, total, drawn) {
  const words = saidParts(chart.lines);
  const selectedRuns = selected().length;
  const begun = begunRuns();
  fill("curves-note",
    `${drawn < total ? `The best ${drawn} of ${plural(total, "chosen run")}` : total === 1 ? "The only chosen run" : `All ${plural(total, "chosen run")}`} with curves${words}.`
    + (page.curves.asked < begun ? ` The page has the curves of ${page.curves.asked.toLocaleString("en")} of ${plural(begun, "run")}, the best first.` : "")
    + (total < selectedRuns ? ` ${plural(selectedRuns - total, "chosen run")} without any.` : "")
    + ` At most ${page.curves.most} points each.${saySmoothed()}${sayStepFilters()} A click on a curve opens its run.`);
}
