// The table of runs: what is typed above a column is a filter like any brush, and a brush filters the table.

const MOST_METRIC_COLUMNS = 30;
const ROWS = 14; // as many as are seen at once
let table = null;
let telling = false;

function tableColumns() {
  const several = page.sweeps.length > 1;
  const some = (each) => each.values.some((value) => value !== null);
  return [
    ...(several ? [own.sweep] : []), own.number, own.state,
    ...metrics.slice(0, 1), ...swept,
    ...(some(own.seconds) ? [own.seconds] : []), ...metrics.slice(1, MOST_METRIC_COLUMNS),
    ...(some(own.ended) ? [own.ended] : []), ...(own.host.labels.length > 1 ? [own.host] : []),
    ...(page.causes.length ? [own.cause] : []), ...(Object.keys(runs.problems).length ? [own.problem] : []), own.trial,
  ];
}

function addTable() {
  const shownColumns = tableColumns();
  fill("table-note", metrics.length > MOST_METRIC_COLUMNS ? `The first ${MOST_METRIC_COLUMNS} of ${metrics.length} metrics; a click on a run shows all of its own.` : "");
  table = new tabulator.Tabulator("#table", {
    data: everyRun.map((run) => rowOf(run, shownColumns)),
    index: "run",
    columns: shownColumns.map(columnDefinition),
    ...(count > ROWS ? { height: "34rem" } : {}), // a height lets it draw only the rows that can be seen
    layout: "fitDataFill",
    rowHeight: 30,
    placeholder: () => element("span", {}, "No run is left: clear some filters."),
    initialSort: initialSort(shownColumns),
    rowFormatter: (row) => makeRowReachable(row),
  });
  table.on("rowClick", (_, row) => openRun(row.getData().run));
  table.on("dataFiltering", hearHeader);
  table.on("tableBuilt", () => {
    showHeader();
    filterTable();
  });
}

function rowOf(run, shownColumns) {
  const row = { run };
  shownColumns.forEach((each, place) => {
    const value = each.values[run];
    row[`c${place}`] = each.labels && value !== null ? each.labels[value] : (value ?? undefined);
  });
  return row;
}

function columnDefinition(each, place) {
  const numeric = !each.labels && !each.text;
  return {
    title: "", field: `c${place}`, titleFormatter: () => element("span", { title: each.name }, short(each.name, 30)),
    formatter: (cell) => cellOf(each, cell.getData().run),
    hozAlign: numeric ? "right" : "left", frozen: place === 0 && innerWidth > 700, headerFilter: "input", headerFilterFunc: () => true,
    headerFilterPlaceholder: numeric ? "> < .. =" : "contains",
    headerFilterParams: { elementAttributes: { "aria-label": `Filter ${each.name}`, title: numeric ? ">0.5, <=3, 0.1..0.3, =7, none" : "letters in it, =exactly this, none" } },
    sorter: numeric ? sortNumbers : "string", minWidth: each.labels ? 104 : 86, maxInitialWidth: innerWidth < 700 ? 120 : 260, headerSortStartingDir: each.key === state.metric && state.mode === "max" ? "desc" : "asc",
  };
}

// what has no value stands last, whichever way
function sortNumbers(one, other, _first, _second, _column, direction) {
  if (one === undefined || other === undefined) return ((one === undefined) - (other === undefined)) * (direction === "asc" ? 1 : -1);
  return one - other;
}

function cellOf(each, run) {
  const text = shown(each, run);
  if (each === own.state) return element("span", { class: `dot ${text}` }, text);
  const whole = exact(each, run);
  return whole === text ? document.createTextNode(text || "\u00a0") : element("span", { title: whole }, text);
}

function initialSort(shownColumns) {
  const place = shownColumns.findIndex((each) => each.key === state.metric);
  return place < 0 ? [] : [{ column: `c${place}`, dir: state.mode === "max" ? "desc" : "asc" }];
}

// --- keyboard: rows are reached with Tab and the arrows, and opened with Enter

function makeRowReachable(row) {
  const made = row.getElement();
  made.tabIndex = 0;
  made.dataset.run = row.getData().run;
  made.onkeydown = (event) => {
    if (event.key === "Enter" && event.target === made) openRun(row.getData().run);
    const next = event.key === "ArrowDown" ? row.getNextRow() : event.key === "ArrowUp" ? row.getPrevRow() : false;
    if (!next) return;
    event.preventDefault();
    table.scrollToRow(next, "nearest", false).then(() => next.getElement().focus());
  };
}

// --- the header's boxes and the one filter of the page tell each other

function hearHeader(filters) {
  if (telling) return;
  const typed = new Map(filters.filter((each) => typeof each.field === "string").map((each) => [keyOf(each.field), String(each.value ?? "")]));
  const next = { ...state.filters };
  for (const [key, filter] of Object.entries(next)) if (filter.text !== undefined && !typed.has(key)) delete next[key];
  for (const [key, text] of typed) if (text.trim()) next[key] = { text };
  if (JSON.stringify(next) !== JSON.stringify(state.filters)) change({ filters: next });
}

function keyOf(field) {
  return tableColumns()[Number(field.slice(1))].key;
}

function showHeader() {
  telling = true;
  tableColumns().forEach((each, place) => {
    const wanted = state.filters[each.key]?.text ?? "";
    if ((table.getHeaderFilterValue(`c${place}`) ?? "") !== wanted) table.setHeaderFilterValue(`c${place}`, wanted);
  });
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
  if (!table?.initialized) return;
  showHeader();
  filterTable();
}
