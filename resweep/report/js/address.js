// The address: what is chosen survives a reload, and can be sent to somebody.
//
// Runs and labels stand in it by name: in a page that was written again they may have other places.

function writeAddress() {
  const start = JSON.parse(START);
  const changed = Object.entries(named(state)).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(start[name]));
  const text = changed.length ? encodeURIComponent(JSON.stringify(Object.fromEntries(changed))) : "";
  history.replaceState(null, "", text ? `#${text}` : `${location.pathname}${location.search}`);
}

function readAddress() {
  let found = {};
  try {
    found = JSON.parse(decodeURIComponent(location.hash.slice(1))) ?? {};
  } catch {
    return; // cut off, or somebody else's
  }
  Object.assign(state, JSON.parse(START));
  for (const [name, valid] of Object.entries(VALID)) {
    const value = Object.hasOwn(found, name) ? placed(name, found[name]) : undefined;
    if (value !== undefined && valid(value)) state[name] = value;
  }
  masks = new Map();
}

// as the address has it
function named(state) {
  const filters = Object.fromEntries(Object.entries(state.filters).map(([key, filter]) => [key, namedFilter(columns.get(key), filter)]));
  return { ...state, filters, open: state.open === null ? null : runName(state.open) };
}

function namedFilter(column, filter) {
  const labels = filter.codes?.map((code) => column.labels[code]);
  const apart = labels && labels.every((each) => column.labels.indexOf(each) === column.labels.lastIndexOf(each));
  return apart ? { labels } : filter;
}

// as the page has it
function placed(name, value) {
  if (name === "open" && typeof value === "string") return runNamed(value);
  if (name !== "filters" || !value || typeof value !== "object") return value;
  const filters = Object.entries(value).map(([key, filter]) => [key, placedFilter(columns.get(key), filter)]);
  return Object.fromEntries(filters.filter(([, filter]) => !filter?.codes || filter.codes.length)); // labels that are no more filter nothing
}

function placedFilter(column, filter) {
  if (!Array.isArray(filter?.labels) || !column?.labels) return filter;
  return { codes: filter.labels.map((each) => column.labels.indexOf(each)).filter((code) => code >= 0) };
}

const VALID = {
  metric: (value) => columns.get(value)?.kind === "metric",
  mode: (value) => value === "max" || value === "min",
  colour: (value) => value === "metric" || columns.has(value),
  by: (value) => value === "run" || value === "point",
  filters: (value) => Boolean(value) && Object.entries(value).every(([key, each]) => validFilter(columnNamed(key), each)),
  columns: (value) => Boolean(value) && Object.entries(value).every(([key, each]) => columns.has(key) && typeof each === "boolean"),
  compare: (value) => Array.isArray(value) && value.length <= MOST_COMPARED && new Set(value).size === value.length && value.every((each) => runNamed(each) !== undefined),
  open: (value) => value === null || (Number.isInteger(value) && value >= 0 && value < count),
  tab: (value) => typeof value === "string",
  measure: (value) => Number.isInteger(value) && value >= 0 && value < page.curves.measures.length,
  smooth: (value) => Number.isFinite(value) && value >= 0 && value <= 0.99,
  curves: (value) => Number.isInteger(value) && value > 0,
  paused: (value) => typeof value === "boolean",
};

function validFilter(column, filter) {
  if (!column || !filter || typeof filter !== "object") return false;
  if (Array.isArray(filter.codes)) return Boolean(column.labels) && filter.codes.every((code) => Number.isInteger(code) && code in column.labels);
  if (Array.isArray(filter.ranges)) {
    return filter.ranges.every((range) => Array.isArray(range) && range.length === 2 && range.every(Number.isFinite));
  }
  return typeof filter.text === "string";
}
