// The chosen runs as a file of comma-separated values, as RFC 4180 has it: made here, with no request to anybody.

// nothing is added to a value, not even to one that a spreadsheet would take for a formula
function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// names as `resweep results --format csv` has them: of two that are alike the metric says what it is
function csvColumns() {
  const about = { sweep: own.sweep, number: own.number, trial: own.trial, state: own.state, seconds: own.seconds, host: own.host, problem: own.problem, cause: own.cause, ended: own.ended };
  const { sweep, number, trial, ...others } = about;
  const taken = new Set([...Object.keys(about), ...swept.map((each) => each.name)]);
  const measured = metrics.map((each) => [taken.has(each.name) ? `metric.${each.name}` : each.name, each]);
  return [...Object.entries({ sweep, number, trial }), ...swept.map((each) => [each.name, each]), ...Object.entries(others), ...measured];
}

// a time as one, with its zone
function csvCell(column, run) {
  return column.unit === "time" && !isEmpty(column, run) ? new Date(column.values[run] * 1000).toISOString() : whole(column, run);
}

function csvOf(some) {
  const all = csvColumns();
  const lines = [all.map(([name]) => name), ...some.map((run) => all.map(([, column]) => csvCell(column, run)))];
  return lines.map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

// a link to what the page itself holds: nothing is loaded, so the policy need not allow anything
function saveCsv() {
  const link = element("a", { download: csvName(), href: URL.createObjectURL(new Blob([csvOf(inTableOrder())], { type: "text/csv;charset=utf-8" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

let cut = null;

// whether the page has only the beginning of some text
function isCut() {
  cut ??= [...swept, ...metrics, own.cause].some((each) => [each.name, ...(each.labels ?? []), ...Object.values(each.odd)].some((text) => text.length >= page.longest))
    || Object.values(runs.problems).some((text) => text.length >= page.longest);
  return cut;
}

function csvName() {
  return `${short(page.sweeps.join("-").replace(/[^A-Za-z0-9._-]+/g, "_"), 80).replace("…", "")}-runs.csv`;
}

function addCsv() {
  document.getElementById("csv").addEventListener("click", saveCsv);
}

// what the file does not have in full is said beside its button
function drawCsv() {
  const chosen = selected().length;
  fill("csv", `Save ${plural(chosen, "run")} as CSV`);
  document.getElementById("csv").disabled = !chosen;
  const names = page.sweeps.map((name) => `'${name}'`).join(" ");
  const rounded = page.digits !== null && metrics.length > 1;
  const less = [...(rounded ? [`metrics other than ${metrics[0].name} have ${page.digits} digits`] : []), ...(isCut() ? [`texts are cut at ${page.longest} characters`] : [])].join(", and ");
  fill("csv-note", "The file has all columns of the chosen runs, whichever are shown.",
    ...(less ? [` As in this page, ${less}: `, element("code", {}, `resweep results ${names} --format csv`), " has them whole."] : []));
}
