// What is said in words and bars, not drawn: states, importance and correlation, failures by cause.

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
  if (!parameters.length) return element("div", {}, ...title, trustLine(computed));
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
  const kept = computed.trust === "ranked" ? "Importance without shares" : "Importance hidden";
  const about = good ? `${r2}${plural(computed.used, "configuration")}` : `${kept}: ${computed.reason}`;
  const strong = good && computed.r2 >= 0.7;
  return element("p", { class: `trust ${good ? (strong ? "good" : "fair") : "poor"}` }, good ? `${strong ? "Trust: good" : "Trust: fair"} (${about})` : about);
}

function importanceRow(column, effect, hidden, chosen, metric, computed) {
  const share = hidden ? null : (effect?.share ?? null);
  const why = leftOut(computed, column);
  const rank = computed?.trust === "ranked" ? computed.effects.findIndex((each) => each.key === column.name) + 1 : 0;
  const text = share === null ? (why ?? (rank ? `${rank}.` : "–")) : `${(share * 100).toFixed(0)} %${effect.spread === null ? "" : ` ± ${(effect.spread * 100).toFixed(0)}`}`;
  const rho = correlation(column, chosen, metric);
  return element("tr", { "data-name": column.name },
    element("th", { scope: "row", title: column.name }, short(label(column), innerWidth < 600 ? 12 : 25)),
    share === null ? element("td", { class: "quiet" }, text) : bar(share, text),
    rho === null ? element("td", { class: "quiet" }, column.labels && column.labels.length > 2 ? "no order" : "–") : rhoCell(rho, column, correlated(column, chosen, metric), metric));
}

function rhoCell(rho, column, pairs, metric) {
  const p = chance(pairs, rho);
  const sure = pairs.length >= LEAST_SURE && p < SURE;
  const inner = element("span", { class: "bar-in" });
  inner.style.width = `${Math.abs(rho) * 50}%`;
  inner.style.marginLeft = `${rho < 0 ? 50 - Math.abs(rho) * 50 : 50}%`;
  inner.style.background = rho < 0 ? "var(--minus)" : "var(--plus)";
  if (!sure) inner.style.opacity = 0.35;
  return element("td", { class: "bar-cell", title: `p ${p < 0.001 ? "< 0.001" : `= ${number(+p.toPrecision(2))}`}, of ${plural(pairs.length, "run")}` },
    element("span", { class: "bar centred" }, inner),
    element("span", { class: "bar-text" }, `${rho > 0 ? "+" : ""}${rho.toFixed(2)} `, element("span", { class: "quiet" }, `n ${pairs.length}`)),
    ...(column.labels && rho ? [higherWith(column.labels[rho > 0 ? 1 : 0], metric)] : []));
}

// of two names, which one the higher values of the metric go with: on a line of its own, however long it is
function higherWith(name, metric) {
  return element("span", { class: "quiet cut", title: `${metric.name} is higher with ${name}` }, `higher with ${name}`);
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
