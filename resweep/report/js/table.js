// The table of runs: what is typed above a column is a filter like any brush, and a brush filters the table.

const ROWS = 14; // as many as are seen at once
let table = null;
let telling = false;
let listening = false; // before it is built its boxes are empty, whatever is filtered
let drawnColumns = "";

function addTable() {
  const shownColumns = tableColumns();
  drawnColumns = shownColumns.map((each) => each.key).join();
  table = new tabulator.Tabulator("#table", {
    data: everyRun.map((run) => ({ run })), // values are looked up in the columns
    index: "run",
    columns: columnDefinitions(shownColumns),
    ...(count > ROWS ? { height: "34rem" } : {}), // a height lets it draw only the rows that can be seen
    layout: "fitDataFill",
    rowHeight: 30,
    placeholder: () => element("span", {}, "No run is left: clear some filters."),
    initialSort: initialSort(),
    rowFormatter: (row) => makeRowReachable(row),
  });
  table.on("rowClick", (event, row) => {
    if (!event.target.closest(".pick")) openRun(row.getData().run);
    else if (event.target.tagName !== "INPUT") toggleCompared(row.getData().run); // beside the box is meant for it
  });
  table.on("dataFiltering", hearHeader);
  table.on("tableBuilt", () => {
    showHeader();
    filterTable();
    listening = true;
  });
}

const fields = new Map([...columns.values()].map((each, place) => [each, `c${place}`]));
const ofField = new Map([...fields].map(([each, field]) => [field, each]));

function fieldOf(column) {
  return fields.get(column);
}

function columnDefinitions(shownColumns) {
  return [pickDefinition(), ...shownColumns.map(columnDefinition)];
}

function columnDefinition(each, place) {
  const numeric = !each.labels && !each.text;
  return {
    title: "", field: fieldOf(each), titleFormatter: () => element("span", { title: each.name }, short(each.name, innerWidth < 700 ? 12 : 26)),
    formatter: (cell) => cellOf(each, cell.getData().run),
    hozAlign: numeric ? "right" : "left", frozen: place === 0 && innerWidth > 700, headerFilter: "input", headerFilterFunc: () => true,
    headerFilterPlaceholder: numeric ? "> < .. =" : "contains",
    headerFilterParams: { elementAttributes: { "aria-label": `Filter ${each.name}`, title: numeric ? ">0.5, <=3, 0.1..0.3, =7, none" : "letters in it, =exactly this, none" } },
    sorter: sorterOf(each, numeric), minWidth: each.labels ? 104 : 86, maxInitialWidth: innerWidth < 700 ? 120 : 260, headerSortStartingDir: each.key === state.metric && state.mode === "max" ? "desc" : "asc",
  };
}

// the choice of columns and their order, when it has changed
function changeColumns() {
  const shownColumns = tableColumns();
  const keys = shownColumns.map((each) => each.key).join();
  if (keys === drawnColumns) return;
  drawnColumns = keys;
  const left = new Set(shownColumns.map(fieldOf));
  const sorters = table.getSorters().filter((each) => left.has(each.field)).map((each) => ({ column: each.field, dir: each.dir }));
  telling = true;
  table.setColumns(columnDefinitions(shownColumns));
  table.setSort(sorters);
  telling = false;
}

// the runs that the filters leave, in the table's order
function inTableOrder() {
  const inside = new Set(selected());
  return table.getData("active").map((line) => line.run).filter((run) => inside.has(run));
}

// what has no value stands last, whichever way
function sorterOf(each, numeric) {
  const value = (row) => (numeric || isEmpty(each, row.getData().run) ? each.values[row.getData().run] : shown(each, row.getData().run));
  const compare = numeric ? (one, other) => one - other : (one, other) => ALPHABET.compare(one, other);
  return (_one, _other, first, second, _column, direction) => {
    const [one, other] = [value(first) ?? null, value(second) ?? null];
    if (one === null || other === null) return ((one === null) - (other === null)) * (direction === "asc" ? 1 : -1);
    return compare(one, other);
  };
}

const ALPHABET = new Intl.Collator("en", { numeric: true });

function cellOf(each, run) {
  const text = shown(each, run);
  if (each === own.state) return element("span", { class: `dot ${text}` }, text);
  const all = exact(each, run);
  return all === text ? document.createTextNode(text || "\u00a0") : element("span", { title: all }, text);
}

function initialSort() {
  const metric = metricNow();
  return metric && isShown(metric) ? [{ column: fieldOf(metric), dir: state.mode === "max" ? "desc" : "asc" }] : [];
}

// --- keyboard: rows are reached with Tab and the arrows, and opened with Enter

function makeRowReachable(row) {
  const made = row.getElement();
  made.tabIndex = 0;
  made.dataset.run = row.getData().run;
  made.onkeydown = (event) => {
    if (event.key === "Enter" && event.target === made) openRun(row.getData().run);
    if (event.key === " " && event.target === made) {
      event.preventDefault();
      toggleCompared(row.getData().run);
    }
    const next = event.key === "ArrowDown" ? row.getNextRow() : event.key === "ArrowUp" ? row.getPrevRow() : false;
    if (!next) return;
    event.preventDefault();
    table.scrollToRow(next, "nearest", false).then(() => next.getElement().focus());
  };
}

// --- the header's boxes and the one filter of the page tell each other

function hearHeader(filters) {
  if (telling || !listening) return;
  const typed = new Map(filters.filter((each) => typeof each.field === "string").map((each) => [ofField.get(each.field).key, String(each.value ?? "")]));
  const next = { ...state.filters };
  // what is filtered of a column that the table does not show, was not typed there
  for (const each of tableColumns()) if (next[each.key]?.text !== undefined && !typed.has(each.key)) delete next[each.key];
  for (const [key, text] of typed) if (text.trim()) next[key] = { text };
  if (JSON.stringify(next) !== JSON.stringify(state.filters)) change({ filters: next });
}

function showHeader() {
  telling = true;
  for (const each of tableColumns()) {
    const wanted = state.filters[each.key]?.text ?? "";
    if ((table.getHeaderFilterValue(fieldOf(each)) ?? "") !== wanted) table.setHeaderFilterValue(fieldOf(each), wanted);
  }
  telling = false;
}

let tableMask = "";

function filterTable() {
  const chosen = selected();
  const mask = JSON.stringify(state.filters);
  if (mask === tableMask) return;
  tableMask = mask;
  const inside = new Set(chosen);
  telling = true;
  table.setFilter((row) => inside.has(row.run));
  telling = false;
}

function drawTable() {
  drawColumns();
  drawCsv();
  if (!table?.initialized) return;
  changeColumns();
  drawPicks();
  showHeader();
  filterTable();
}
