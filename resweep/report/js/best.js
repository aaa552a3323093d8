// The best of the chosen runs, and of the points where these have repeats: in numbers, and what they are of.

function drawBest() {
  const metric = metricNow();
  const chosen = selected().filter((run) => runs.state[run] === FINISHED);
  if (!metric) return fill("best", element("p", { class: "empty" }, "No run has a number yet: every chart but the table needs one. What a training writes to metrics.json, metrics.jsonl, TensorBoard’s files or its log is read; see [results] in docs/results.md."));
  const known = orderedByMetric(chosen).filter((run) => !isEmpty(metric, run));
  const best = known.at(-1);
  const point = repeated() ? bestPoint(repeatsOf(chosen), metric, state.mode) : null;
  const facts = [
    ...pointFact(point, metric),
    fact(repeated() ? "best run" : "best", best === undefined ? "–" : shown(metric, best), metric.name, best),
    fact("with a value", known.length.toLocaleString("en"), `of ${plural(chosen.length, "finished run")}${prunedBeside(metric)}`),
    fact("median", known.length ? number(median(known.map((run) => metric.values[run]))) : "–", metric.name),
    fact("time", duration(selected().reduce((sum, run) => sum + (own.seconds.values[run] ?? 0), 0)), "of all chosen runs together"),
  ];
  return fill("best", ...facts, ...(point ? [pointWords(point, metric)] : []), ...(point && onePoint() ? [] : [bestWords(best, point?.runs.includes(best))]));
}

// runs that are in charts and table, but that best and median are not taken of
function prunedBeside(metric) {
  const some = selected().filter((run) => runs.state[run] === PRUNED && !isEmpty(metric, run)).length;
  return some ? `; ${some.toLocaleString("en")} pruned stopped before, and are not ranked here` : "";
}

function fact(title, value, about, run) {
  const content = [element("span", { class: "fact-title" }, title), element("b", {}, value), element("span", { class: "fact-about" }, about)];
  return run === undefined ? element("div", { class: "fact" }, ...content)
    : element("button", { class: "fact", title: "Show this run", onclick: () => openRun(run) }, ...content);
}

// what was swept of a point is said of it
function bestWords(best, ofPoint) {
  if (best === undefined) return "";
  return words(repeated() ? "best run" : "", runName(best), ofPoint ? [] : sweptWords(best));
}

// what a number above is of
function words(about, name, pairs) {
  return element("div", { class: repeated() ? "best-words whole" : "best-words" }, element("span", { class: "pair" }, about ? `${about} ` : "", element("b", {}, name)), ...pairs);
}

function sweptWords(run) {
  return varying().slice(0, 8).map((each) => pair(label(each), shown(each, run), `${each.name} = ${exact(each, run)}`));
}

function pair(name, value, title) {
  return element("span", { class: "pair", title }, `${short(name, 28)} `, element("b", {}, short(value, 24)));
}

// --- repeats: a configuration is as good as their mean

function repeated() {
  return new Set(runs.point).size < count;
}

// all repeats of the points of some runs: a filter on what came of them must not leave the lucky ones alone
function repeatsOf(some) {
  const points = new Set(some.map((run) => runs.point[run]));
  return selected(true).filter((run) => points.has(runs.point[run]));
}

function onePoint() {
  return new Set(runs.point).size === 1;
}

function pointFact(point, metric) {
  if (!point) return [];
  const value = withSpread(point.value, deviation(point.runs.map((run) => metric.values[run])));
  return [fact(onePoint() ? "mean of the repeats" : "best point", value, `${metric.name}, n = ${point.runs.length}`)];
}

// what was swept, and what else was measured of its repeats
function pointWords(point, metric) {
  const numbers = point.runs.map((run) => runs.number[run]).sort((one, other) => one - other).map((each) => `#${each}`);
  const name = `${page.sweeps[runs.sweep[point.run]]}${numbers.slice(0, 8).join(", ")}${numbers.length > 8 ? ", …" : ""}`;
  const others = metrics.filter((each) => each !== metric && point.runs.every((run) => !isEmpty(each, run)));
  const first = [...others.filter((each) => runs.executed.includes(each.name)), ...others.filter((each) => !runs.executed.includes(each.name))];
  const measured = first.slice(0, onePoint() ? 6 : 3).map((each) => measuredWords(each, point.runs.map((run) => each.values[run])));
  return words(onePoint() ? "repeats" : "best point", name, [...sweptWords(point.run), ...measured]);
}

function measuredWords(column, values) {
  const spread = deviation(values);
  const same = !spread;
  return pair(column.name, same ? number(values[0]) : withSpread(mean(values), spread), `${column.name}: ${same ? "the same in all" : "mean ± standard deviation"} of ${plural(values.length, "repeat")}`);
}
