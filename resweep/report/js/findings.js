// What is said in words and bars, not drawn: states, the best, importance and correlation, failures by cause.

function bar(share, text, colour = null) {
  const inner = element("span", { class: "bar-in" });
  inner.style.width = `${Math.max(0, Math.min(100, share * 100))}%`;
  if (colour) inner.style.background = colour;
  return element("td", { class: "bar-cell" }, element("span", { class: "bar" }, inner), element("span", { class: "bar-text" }, text));
}

// --- importance, which was computed for all runs when the page was written, and correlation, which follows the filter

function drawImportance() {
  const metric = metricNow();
  const computed = page.importance && page.importance.metric === metric.name ? page.importance.sweeps : [];
  const tables = computed.length ? computed.map((each, sweep) => importanceTable(each, sweep, metric)) : [importanceTable(null, null, metric)];
  const other = page.importance && !computed.length
    ? `Importance was computed for ${page.importance.metric}; resweep report … --metric ${metric.name} computes it for this metric. `
    : "";
  fill("importance", ...tables);
  fill("importance-note", `${other}Importance: permutation importance of a random forest over all configurations, whatever is filtered; `
    + `it says what the forest uses, not what causes. ρ: Spearman’s rank correlation over n chosen runs that finished, pale where p is above ${SURE} or n below ${LEAST_SURE}; near 0 also where the best lies in the middle.`);
}

function importanceTable(computed, sweep, metric) {
  const chosen = selected().filter((run) => sweep === null || runs.sweep[run] === sweep);
  const effects = new Map((computed?.effects ?? []).map((each) => [each.key, each]));
  const hidden = computed?.trust !== "shown";
  const parameters = varying().filter((each) => !computed || effects.has(each.name) || leftOut(computed, each));
  const order = [...effects.keys()];
  parameters.sort((one, other) => rankOf(order, one) - rankOf(order, other));
  const title = computed && page.sweeps.length > 1 ? [element("h3", {}, page.sweeps[sweep])] : [];
  return element("div", {}, ...title, trustLine(computed),
    element("table", { class: "bars" },
      element("thead", {}, element("tr", {}, ...["parameter", "importance", "ρ with the metric"].map((head) => element("th", {}, head)))),
      element("tbody", {}, ...parameters.map((each) => importanceRow(each, effects.get(each.name), hidden, chosen, metric, computed)))));
}

// why a key has no effect of its own; a key may be called like anything that an object has
function leftOut(computed, column) {
  return computed && Object.hasOwn(computed.left_out, column.name) ? computed.left_out[column.name] : undefined;
}

function rankOf(order, column) {
  const place = order.indexOf(column.name);
  return place < 0 ? order.length : place;
}

function trustLine(computed) {
  if (!computed) return "";
  const good = computed.trust === "shown";
  const r2 = computed.r2 === null ? "" : `out-of-bag R² ${computed.r2.toFixed(2)}, `;
  const about = good ? `${r2}${plural(computed.used, "configuration")}` : `Importance hidden: ${computed.reason}`;
  const strong = good && computed.r2 >= 0.7;
  return element("p", { class: `trust ${good ? (strong ? "good" : "fair") : "poor"}` }, good ? `${strong ? "Trust: good" : "Trust: fair"} (${about})` : about);
}

function importanceRow(column, effect, hidden, chosen, metric, computed) {
  const share = hidden ? null : (effect?.share ?? null);
  const why = leftOut(computed, column);
  const text = share === null ? (why ?? "–") : `${(share * 100).toFixed(0)} %${effect.spread === null ? "" : ` ± ${(effect.spread * 100).toFixed(0)}`}`;
  const rho = correlation(column, chosen, metric);
  return element("tr", { "data-name": column.name },
    element("th", { scope: "row", title: column.name }, short(label(column), 26)),
    share === null ? element("td", { class: "quiet" }, text) : bar(share, text),
    rho === null ? element("td", { class: "quiet" }, column.labels && column.labels.length > 2 ? "no order" : "–") : rhoCell(rho, column, correlated(column, chosen, metric)));
}

function rhoCell(rho, column, pairs) {
  const p = chance(pairs, rho);
  const sure = pairs.length >= LEAST_SURE && p < SURE;
  const inner = element("span", { class: "bar-in" });
  inner.style.width = `${Math.abs(rho) * 50}%`;
  inner.style.marginLeft = `${rho < 0 ? 50 - Math.abs(rho) * 50 : 50}%`;
  inner.style.background = rho < 0 ? "var(--minus)" : "var(--plus)";
  if (!sure) inner.style.opacity = 0.35;
  const higher = column.labels?.length === 2 ? ` (${short(column.labels[1], 10)})` : "";
  return element("td", { class: "bar-cell", title: `p ${p < 0.001 ? "< 0.001" : `= ${number(+p.toPrecision(2))}`}, of ${plural(pairs.length, "run")}` },
    element("span", { class: "bar centred" }, inner),
    element("span", { class: "bar-text" }, `${rho > 0 ? "+" : ""}${rho.toFixed(2)}${higher} `, element("span", { class: "quiet" }, `n ${pairs.length}`)));
}

// numbers, and two names as 0 and 1; of three names nobody knows the order
function correlation(column, chosen, metric) {
  return column.labels && column.labels.length > 2 ? null : spearman(correlated(column, chosen, metric));
}

function correlated(column, chosen, metric) {
  const pairs = [];
  for (const run of chosen) {
    if (runs.state[run] !== FINISHED || isEmpty(column, run) || isEmpty(metric, run)) continue;
    pairs.push([column.values[run], metric.values[run]]);
  }
  return pairs;
}

// --- failures

function drawFailures() {
  const chosen = selectedBut("run.cause").filter((run) => runs.cause[run] >= 0);
  if (!page.causes.length) return fill("failures", element("p", { class: "empty" }, "No trial failed."));
  const counts = page.causes.map((_, cause) => chosen.filter((run) => runs.cause[run] === cause).length);
  const most = Math.max(1, ...counts);
  const wanted = state.filters["run.cause"]?.codes ?? [];
  const rows = page.causes.map((cause, code) => element("tr", {},
    element("th", { scope: "row" }, element("button", {
      class: "cause", "aria-pressed": String(wanted.includes(code)), title: cause,
      onclick: () => toggleCode("run.cause", code),
    }, cause)),
    bar(counts[code] / most, String(counts[code]), "var(--bad)")));
  return fill("failures", element("table", { class: "bars causes" }, element("tbody", {}, ...rows.slice(0, 12))),
    rows.length > 12 ? element("p", { class: "note" }, `and ${plural(rows.length - 12, "more cause")}, in the table below`) : "");
}

// the runs that every filter but the one on this column lets through
function selectedBut(key) {
  const { [key]: _, ...others } = state.filters;
  const tests = Object.entries(others).map(([each, filter]) => test(columns.get(each), filter));
  return everyRun.filter((run) => tests.every((passes) => passes(run)));
}

function toggleCode(key, code) {
  const codes = new Set(state.filters[key]?.codes ?? []);
  if (!codes.delete(code)) codes.add(code);
  setFilter(key, codes.size ? { codes: [...codes].sort((one, other) => one - other) } : null);
}

// --- above everything: how many runs are in which state, and the best of those that are chosen

function drawStates() {
  const chosen = selectedBut("run.state");
  const wanted = state.filters["run.state"]?.codes ?? [];
  const counts = runs.states.map((_, code) => chosen.filter((run) => runs.state[run] === code).length);
  fill("states", ...runs.states.flatMap((name, code) => counts[code] || wanted.includes(code) ? [element("button", {
    class: `state ${name}`, "aria-pressed": String(wanted.includes(code)), onclick: () => toggleCode("run.state", code),
  }, element("b", {}, counts[code].toLocaleString("en")), ` ${name}`)] : []));
}

function drawBest() {
  const metric = metricNow();
  const chosen = selected().filter((run) => runs.state[run] === FINISHED);
  if (!metric) return fill("best", element("p", { class: "empty" }, "No run has a number yet: every chart but the table needs one. What a training writes to metrics.json, metrics.jsonl, TensorBoard’s files or its log is read; see [results] in docs/results.md."));
  const known = orderedByMetric(chosen).filter((run) => !isEmpty(metric, run));
  const best = known.at(-1);
  const facts = [
    fact("best", best === undefined ? "–" : shown(metric, best), metric.name, best),
    fact("with a value", known.length.toLocaleString("en"), `of ${plural(chosen.length, "finished run")}${prunedBeside(metric)}`),
    fact("median", known.length ? number(median(known.map((run) => metric.values[run]))) : "–", metric.name),
    fact("time", duration(selected().reduce((sum, run) => sum + (own.seconds.values[run] ?? 0), 0)), "of all chosen runs together"),
  ];
  return fill("best", ...facts, bestWords(best));
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

function bestWords(best) {
  if (best === undefined) return "";
  const words = varying().slice(0, 8).map((each) => element("span", { class: "pair", title: `${each.name} = ${exact(each, best)}` }, `${short(label(each), 28)} `, element("b", {}, short(shown(each, best), 24))));
  return element("div", { class: "best-words" }, element("span", { class: "pair" }, element("b", {}, runName(best))), ...words);
}
