// The one filter of the page: by column what is wanted of it. Charts, table and address all say it to each other here.
//
//   {ranges: [[low, high], ...]}   numbers in any of these, both ends included
//   {codes: [code, ...]}           any of these labels
//   {text: "..."}                  what a person typed above a column of the table

const state = {
  metric: (columns.get(`metric.${page.metric}`) ?? metrics[0])?.key ?? null,
  mode: page.mode,
  colour: page.sweeps.length > 1 ? "run.sweep" : "metric",
  by: "run",
  filters: {},
  columns: {}, // by key whether the table shows it, where that is not as at first
  compare: [], // runs by name, since their places change when the page is written again
  open: null,
  tab: "config",
  measure: 0,
  curves: 8,
  smooth: 0, // weight of what came before, of learning curves
  paused: false,
};
const START = JSON.stringify(state);
const listeners = [];
let masks = new Map();
let asked = false;

function metricNow() {
  return columns.get(state.metric) ?? null;
}

// what changed is drawn once before the next frame, however much is said until then
function change(values) {
  Object.assign(state, values);
  masks = new Map();
  writeAddress();
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    for (const listener of listeners) listener();
  });
}

function setFilter(key, filter) {
  const filters = { ...state.filters };
  if (filter === null) delete filters[key];
  else filters[key] = filter;
  if (JSON.stringify(filters) !== JSON.stringify(state.filters)) change({ filters });
}

function setFilters(some) {
  change({ filters: { ...state.filters, ...some } });
}

const GIVEN = new Set(["run.sweep", "run.number", "run.trial"]); // what is known of a run before it runs, beside its values

function isOutcome(column) {
  return column?.kind !== "swept" && !GIVEN.has(column?.key);
}

// the runs that every filter lets through; `blind`: but for filters on what came of them
function selected(blind = false) {
  if (!masks.has(blind)) {
    const tests = Object.entries(state.filters)
      .filter(([key]) => !(blind && isOutcome(columns.get(key))))
      .map(([key, filter]) => test(columns.get(key), filter));
    masks.set(blind, everyRun.filter((run) => tests.every((passes) => passes(run))));
  }
  return masks.get(blind);
}

function test(column, filter) {
  if (filter.ranges) {
    const inside = (value) => filter.ranges.some(([low, high]) => value >= low && value <= high);
    return (run) => !isEmpty(column, run) && inside(column.values[run]);
  }
  if (filter.codes) {
    const wanted = new Set(filter.codes);
    return (run) => wanted.has(column.values[run]);
  }
  return textTest(column, filter.text);
}

const COMPARED = /^\s*(<=|>=|<|>|=|!=)\s*(.+?)\s*$/;
const BETWEEN = /^\s*(\S+?)\s*\.\.\s*(\S+?)\s*$/;

// >0.5, <=3, =7, 0.1..0.3, none, or letters that are in what is shown
function textTest(column, text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "none") return (run) => shown(column, run) === "";
  const compares = comparison(column, text);
  if (compares) return (run) => !isEmpty(column, run) && compares(column.values[run]);
  const exact = /^\s*=(.*)$/.exec(text)?.[1].trim().toLowerCase();
  const fits = exact === undefined ? (cell) => cell.includes(wanted) : (cell) => cell === exact;
  return (run) => fits(shown(column, run).toLowerCase());
}

function comparison(column, text) {
  if (column.labels || column.text) return null;
  const between = BETWEEN.exec(text)?.slice(1).map(Number);
  if (between?.every(Number.isFinite)) return (value) => value >= between[0] && value <= between[1];
  const [, sign, written] = COMPARED.exec(text) ?? [];
  const limit = Number(written);
  if (!sign || !Number.isFinite(limit)) return null;
  const signs = {
    "<": (value) => value < limit,
    "<=": (value) => value <= limit,
    ">": (value) => value > limit,
    ">=": (value) => value >= limit,
    "=": (value) => value === limit,
    "!=": (value) => value !== limit,
  };
  return signs[sign];
}

// a filter as people read it
function said(column, filter) {
  if (filter.text !== undefined) return `${column.name}: ${filter.text}`;
  if (filter.codes) return `${column.name}: ${filter.codes.map((code) => column.labels[code]).join(", ")}`;
  return `${column.name}: ${filter.ranges.map(([low, high]) => saidRange(column, low, high)).join(" or ")}`;
}

function saidRange(column, low, high) {
  const inside = different(column).filter((value) => value >= low && value <= high);
  if (inside.length === 1) return plain(column, inside[0]);
  if (inside.length > 1 && different(column).length <= 12) return inside.map((value) => plain(column, value)).join(", ");
  const rounded = (value) => (column.unit ? plain(column, value) : number(value));
  return `${rounded(low)} – ${rounded(high)}`;
}
