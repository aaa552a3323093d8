// Numbers and times as people read them, and elements: text goes in as text, never as markup.

function number(value) {
  if (value === null || value === undefined) return "";
  if (Number.isInteger(value)) return Math.abs(value) < 1e15 ? String(value) : value.toExponential(3);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? String(Number(value.toPrecision(4))) : String(+value.toPrecision(4));
}

function duration(seconds) {
  if (seconds < 1) return `${number(seconds)} s`;
  if (seconds < 90) return `${+seconds.toPrecision(3)} s`;
  if (seconds < 5400) return `${+(seconds / 60).toPrecision(3)} min`;
  return seconds < 172800 ? `${+(seconds / 3600).toPrecision(3)} h` : `${+(seconds / 86400).toPrecision(3)} d`;
}

// a mean and its standard deviation, both to the second digit of the latter, as `resweep results --by point` has it
function withSpread(middle, spread) {
  if (spread === null) return number(middle);
  const digits = 1 - Math.floor(Math.log10(spread));
  if (!(spread > 0) || digits <= -3 || digits >= 9 || Math.abs(middle) >= 1e9) return `${number(middle)} ± ${+spread.toPrecision(2)}`;
  return `${middle.toFixed(Math.max(0, digits))} ± ${spread.toFixed(Math.max(0, digits))}`;
}

function time(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}

function plain(column, value) {
  if (value === null || value === undefined) return "";
  if (column.labels) return column.labels[value];
  if (column.text) return value;
  if (column.unit === "duration") return duration(value);
  if (column.unit === "time") return time(value);
  return column.kind === "swept" ? sweptNumber(value) : number(value);
}

// five digits; whole numbers whole. What was drawn has seventeen, which the title and the run's values have
function sweptNumber(value) {
  return Number.isInteger(value) ? String(value) : String(+value.toPrecision(5));
}

// all digits
function exact(column, run) {
  const isNumber = (column.kind === "metric" || column.kind === "swept") && !column.labels && !isEmpty(column, run);
  return isNumber ? String(column.values[run]) : shown(column, run);
}

// as it is: no unit, nothing rounded
function whole(column, run) {
  if (isEmpty(column, run)) return column.odd[run] ?? "";
  return String(column.labels ? column.labels[column.values[run]] : column.values[run]);
}

// what a run has in a column; a number that is none, such as NaN, by its name
function shown(column, run) {
  return isEmpty(column, run) ? (column.odd[run] ?? "") : plain(column, column.values[run]);
}

function runName(run) {
  return `${page.sweeps[runs.sweep[run]]}#${runs.number[run]}`;
}

let runsByName = null;

function runNamed(name) {
  runsByName ??= new Map(everyRun.map((run) => [runName(run), run]));
  return runsByName.get(name);
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

// cut in the middle: names that begin alike mostly end differently
function short(text, most = 18) {
  const end = Math.floor((most - 1) / 2);
  return text.length > most ? `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}` : text;
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function fill(id, ...children) {
  document.getElementById(id).replaceChildren(...children);
}
