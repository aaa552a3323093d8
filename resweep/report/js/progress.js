// Over time and over tries: the best so far, what quality costs, and what a search of n points may expect.

function addProgress() {
  const timed = runs.ended.some((each) => each !== null);
  const x = timed ? own.hours : own.number;
  addScatter("best-so-far", () => [x, metricNow()], bestLines);
  addScatter("cost", () => [own.seconds, metricNow()]);
  addExpected();
}

// a step line of the best so far for each sweep
function bestLines(x, y) {
  return page.sweeps.map((_, sweep) => {
    const steps = bestSoFar(selected().filter((run) => runs.sweep[run] === sweep), y, state.mode);
    const points = steps.filter((each) => !isEmpty(x, each.run)).map((each) => [axisOf(x).to(x.values[each.run]), axisOf(y).to(each.best)]);
    return {
      type: "line", id: `best${sweep}`, step: "end", showSymbol: false, silent: true, data: points, sampling: undefined,
      lineStyle: { color: sweepColour(sweep), type: sweepStroke(sweep), width: 2 }, z: 3,
    };
  });
}

// --- expected performance: of points that were tried, means of repeats; a filter on what came of them does not change it

function expectedCurves() {
  const metric = metricNow();
  return page.sweeps.map((name, sweep) => {
    const chosen = selected(true).filter((run) => runs.sweep[run] === sweep);
    const points = tried(chosen, metric);
    const known = points.filter((point) => point.value !== null);
    const worst = points.filter((point) => point.diverged).length;
    const curve = expectedBest(triedValues(points, state.mode), state.mode, page.drawn[sweep]);
    return { name, sweep, drawn: page.drawn[sweep], leftOut: points.length - known.length - worst, diverged: worst, pruned: known.filter((point) => point.pruned).length, curve };
  });
}

function addExpected() {
  const chart = addChart("expected", drawExpected);
  chart.started = () => {
    chart.instance.getZr().on("mousemove", (event) => showExpected(chart, event));
    chart.instance.getZr().on("globalout", hideTip);
  };
}

function drawExpected(chart) {
  const metric = metricNow();
  chart.curves = expectedCurves();
  sayExpected(chart.curves);
  const { ticks, ...axis } = axisOptions(metric);
  const tries = triesAxis(Math.max(1, ...chart.curves.map((each) => each.curve.length && each.curve.at(-1).n)));
  chart.from = axisOf(tries).from;
  return {
    says: `Expected best ${metric.name} of n configurations`,
    options: {
      animation: false,
      grid: { left: 8, right: 16, top: 12, bottom: 24, containLabel: true },
      xAxis: { ...axisOptions(tries), name: "configurations tried", nameLocation: "middle", nameGap: 26 },
      yAxis: { ...axis, name: "" },
      series: chart.curves.flatMap((each) => expectedSeries(each, axisOf(metric), axisOf(tries).to)),
    },
  };
}

// 1 to the most that were tried; the first few matter most
function triesAxis(most) {
  const last = Math.max(2, most);
  const each = Array.from({ length: last <= FEW ? last : 0 }, (_, place) => place + 1);
  return column("page.n", "n", each.length ? each : [1, last], { log: most > 20, listed: each.length > 0 });
}

function expectedSeries({ sweep, curve }, axis, tries) {
  const colour = sweepColour(sweep);
  const bound = (name) => curve.map((each) => axis.to(each[name]));
  const [low, high] = [bound("low"), bound("high")];
  const line = { type: "line", showSymbol: curve.length === 1, silent: true, lineStyle: { opacity: 0 } };
  const band = { ...line, stack: `band${sweep}`, stackStrategy: "all" };
  return [
    { ...band, id: `low${sweep}`, data: curve.map((each, place) => [tries(each.n), low[place]]) },
    { ...band, id: `high${sweep}`, areaStyle: { color: colour, opacity: 0.15 }, data: curve.map((each, place) => [tries(each.n), high[place] - low[place]]) },
    { ...line, id: `value${sweep}`, lineStyle: { color: colour, type: sweepStroke(sweep), width: 2 }, itemStyle: { color: colour }, data: curve.map((each) => [tries(each.n), axis.to(each.value)]) },
  ];
}

function sayExpected(curves) {
  const chosen = curves.filter((each) => page.chosen[each.sweep]).map((each) => each.name);
  const worst = curves.reduce((sum, each) => sum + each.diverged, 0);
  const forms = new Set(curves.map((each) => (page.chosen[each.sweep] ? `points of a search (${each.drawn ? "with" : "without"} replacement)` : each.drawn ? "independent draws of a random search (with replacement)" : "points of a finite grid (without replacement)")));
  const leftOut = curves.reduce((sum, each) => sum + each.leftOut, 0);
  const some = curves.reduce((sum, each) => sum + (each.curve.at(-1)?.n ?? 0), 0);
  const pruned = curves.reduce((sum, each) => sum + each.pruned, 0);
  fill("expected-note",
    `The mean best of n of ${some === 1 ? "this one configuration" : `these ${plural(some, "configuration")}`}, and its deviation; repeats are averaged first. Taken as ${[...forms].join("; ")}. `
    + (pruned ? `${plural(pruned, "pruned configuration")} ${pruned === 1 ? "counts with the value at which it" : "count with the value at which they"} stopped. ` : "")
    + (worst ? `${plural(worst, "configuration")} diverged, and ${worst === 1 ? "counts" : "count"} as the worst. ` : "")
    + chosen.map((name) => `${name} ${page.said_chosen}. `).join("")
    + (leftOut ? `${plural(leftOut, "configuration")} without a finite number left out. ` : "")
    + "Filters on parameters count, those on what came of a run do not.");
}

function showExpected(chart, event) {
  const n = chart.from(chart.instance.convertFromPixel("grid", [event.offsetX, event.offsetY])[0]);
  const lines = chart.curves.flatMap(({ name, curve }) => {
    const near = curve.reduce((best, each) => (Math.abs(each.n - n) < Math.abs((best?.n ?? Infinity) - n) ? each : best), null);
    return near ? [[`${name}, best of ${near.n}`, `${number(near.value)} ± ${number(near.sd)}`]] : [];
  });
  if (lines.length) showTip(event.event, { lines });
}
