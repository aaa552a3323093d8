// The runs as columns, whatever they are: swept values, metrics, and what every run has.

const page = JSON.parse(document.getElementById("data").textContent);
const runs = page.runs;
const count = runs.number.length;
const everyRun = Array.from({ length: count }, (_, run) => run);
const FINISHED = runs.states.indexOf("finished");
const FAILED = runs.states.indexOf("failed");
const PRUNED = runs.states.indexOf("pruned");

// key: unlike any other's; values: numbers, codes of `labels`, or texts; null where there is none
function column(key, name, values, more = {}) {
  return { key, name, values, labels: null, text: false, odd: {}, log: false, listed: false, ...more };
}

function sweptColumn(each) {
  const values = each.labels ? each.codes : each.values;
  return column(`swept.${each.name}`, each.name, values, { kind: "swept", labels: each.labels || null, log: each.log, listed: each.listed });
}

function metricColumn(each) {
  return column(`metric.${each.name}`, each.name, each.values, { kind: "metric", odd: each.odd, mode: each.mode });
}

const swept = page.swept.map(sweptColumn);
const metrics = page.metrics.map(metricColumn);
const own = {
  sweep: column("run.sweep", "sweep", runs.sweep, { labels: page.sweeps }),
  number: column("run.number", "#", runs.number),
  trial: column("run.trial", "trial", runs.trial, { text: true }),
  state: column("run.state", "state", runs.state, { labels: runs.states }),
  seconds: column("run.seconds", "duration", runs.seconds, { unit: "duration", log: spreads(measuredSeconds()), drawn: measuredSeconds() }),
  ended: column("run.ended", "ended", runs.ended, { unit: "time" }),
  hours: column("run.hours", "time since the first start", sinceStart(), { unit: "duration" }),
  host: column("run.host", "host", runs.host, { labels: runs.hosts }),
  cause: column("run.cause", "cause", runs.cause.map((code) => (code < 0 ? null : code)), { labels: page.causes }),
  problem: column("run.problem", "problem", everyRun.map((run) => runs.problems[run] ?? null), { text: true }),
};
const columns = new Map([...Object.values(own), ...swept, ...metrics].map((each) => [each.key, each]));

function sinceStart() {
  const [first] = extent(runs.started) ?? extent(runs.ended) ?? [0];
  return runs.ended.map((each) => (each === null ? null : Math.max(0, each - first)));
}

// how long runs took that a chart can show: what failed at once would leave half of its axis empty
function measuredSeconds() {
  return runs.seconds.filter((_, run) => metrics.some((each) => !isEmpty(each, run)));
}

// whether values above zero are so far apart that only a logarithmic scale shows them
function spreads(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 2 && known.every((value) => value > 0) && extent(known)[1] / extent(known)[0] > 50;
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

// the different values, in order; remembered, since they never change
function different(column) {
  if (!column.different) {
    const found = new Set(column.values);
    found.delete(null);
    column.different = column.text ? [...found].sort() : [...found].sort((one, other) => one - other);
  }
  return column.different;
}

// swept keys mostly share a beginning, params., that a chart has no room for
const prefix = /^[^.]+\./.exec(swept[0]?.name ?? "")?.[0] ?? "";
const shared = swept.every((each) => each.name.startsWith(prefix)) ? prefix : "";

function label(column) {
  return column.kind === "swept" ? column.name.slice(shared.length) : column.name;
}

// the swept keys that tell runs apart, those that matter most first where that is known
function varying() {
  const place = new Map((page.importance?.order || []).map((name, number) => [name, number]));
  const rank = (column) => place.get(column.name) ?? place.size;
  return swept.filter((each) => different(each).length > 1).sort((one, other) => rank(one) - rank(other));
}

function isEmpty(column, run) {
  return column.values[run] === null || column.values[run] === undefined;
}
