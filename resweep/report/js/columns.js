// Which columns the table shows: at first what tells runs apart, then whatever a person chooses.

const MOST_SWEPT = 12; // shown at first: those that matter most, where that is known
const MOST_METRICS = 6;

// every column that the table could show, in the order in which it shows them
function everyColumn() {
  const some = (each) => different(each).length > 0;
  return [
    own.sweep, own.number, own.state, ...metrics.slice(0, 1), ...swept, own.seconds, ...metrics.slice(1),
    own.ended, own.host, own.cause, own.problem, own.trial,
  ].filter((each) => each.kind === "metric" || some(each));
}

// the same in every run: having none counts as a value, too
function isConstant(column) {
  column.constant ??= count > 1 && column.values.every((value) => (value ?? null) === (column.values[0] ?? null)) && !Object.keys(column.odd).length;
  return column.constant;
}

let atFirst = null;

// what is shown until somebody chooses; never follows a filter
function shownAtFirst() {
  if (atFirst) return atFirst;
  const order = varying();
  const rank = (each) => (order.includes(each) ? order.indexOf(each) : order.length);
  const apart = swept.filter((each) => !isConstant(each)).sort((one, other) => rank(one) - rank(other));
  const measured = metrics.slice(1).filter((each) => !isConstant(each));
  const about = [own.sweep, own.ended, own.host, own.cause, own.problem].filter((each) => !isConstant(each) && different(each).length);
  atFirst = new Set([own.number, own.state, own.seconds, own.trial, ...metrics.slice(0, 1), ...apart.slice(0, MOST_SWEPT), ...measured.slice(0, MOST_METRICS - 1), ...about]);
  return atFirst;
}

// the metric that the page is about is never hidden by itself
function isFirst(column) {
  return column === metricNow() || shownAtFirst().has(column);
}

function isShown(column) {
  return column === own.number || (state.columns[column.key] ?? isFirst(column));
}

function tableColumns() {
  return everyColumn().filter(isShown);
}

// only what differs from the first choice is remembered: what a later page has more is shown as it would be
function showColumns(some, wanted) {
  const next = { ...state.columns };
  for (const each of some) {
    if (each === own.number || wanted === isFirst(each)) delete next[each.key];
    else next[each.key] = wanted;
  }
  change({ columns: next });
}

// --- the menu: a box for each column, and letters that find some of them

function addColumnsMenu() {
  const menu = document.getElementById("columns-menu");
  const find = document.getElementById("columns-find");
  menu.addEventListener("toggle", () => {
    if (menu.open) drawColumnsMenu();
  });
  find.addEventListener("input", drawColumnsMenu);
  document.getElementById("columns-all").addEventListener("click", () => showColumns(foundColumns(), true));
  document.getElementById("columns-none").addEventListener("click", () => showColumns(foundColumns(), false));
  document.getElementById("columns-first").addEventListener("click", () => change({ columns: {} }));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
}

function foundColumns() {
  const letters = document.getElementById("columns-find").value.trim().toLowerCase();
  return everyColumn().filter((each) => each.name.toLowerCase().includes(letters));
}

function drawColumnsMenu() {
  const groups = [["Swept values", (each) => each.kind === "swept"], ["Metrics", (each) => each.kind === "metric"], ["Run", (each) => !each.kind]];
  const some = foundColumns();
  fill("columns-list", ...groups.flatMap(([title, belongs]) => {
    const own = some.filter(belongs);
    return own.length ? [element("fieldset", {}, element("legend", {}, title), ...own.map(columnBox))] : [];
  }), some.length ? "" : element("p", { class: "empty" }, "No column has these letters."));
}

function columnBox(each) {
  const box = element("input", { type: "checkbox", "data-key": each.key, checked: isShown(each), disabled: each === own.number });
  box.addEventListener("change", () => showColumns([each], box.checked));
  const about = isConstant(each) ? `always ${short(shown(each, 0) || "none", 16)}` : "";
  return element("label", { title: each.name }, box, element("span", { class: "column-name" }, each.name), element("span", { class: "quiet" }, about));
}

// boxes follow what is chosen, and stay where they are: the focus may be on one
function drawColumns() {
  const every = everyColumn();
  fill("columns-count", `${every.filter(isShown).length} of ${every.length}`);
  for (const box of document.querySelectorAll("#columns-list input")) box.checked = isShown(columns.get(box.dataset.key));
  const constant = swept.filter((each) => isConstant(each) && !isShown(each));
  const said = constant.slice(0, 8).map((each) => `${short(each.name, 40)} = ${short(shown(each, 0) || "none", 24)}`);
  const more = constant.length > said.length ? [`and ${plural(constant.length - said.length, "more value")}`] : [];
  fill("table-note", constant.length ? `The same in every run, and not shown: ${[...said, ...more].join(", ")}.` : "");
}
