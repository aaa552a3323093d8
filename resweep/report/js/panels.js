// Which panels there are: one that has nothing to show is a sentence below the others, and leaves no hole among them.

const UNWRITTEN = "no run wrote numbers more than once: metrics_epoch_N.json, metrics.jsonl, TensorBoard's files or a pattern of the log";

// why a panel has nothing to show, whatever is filtered: panels must not come and go under a hand that drags
const ABSENT = [
  [["parallel-box", "scatter-box", "importance-box"], () => (varying().length ? null : "no swept value differs between these runs")],
  [["curves-card"], () => (page.curves.measures.length ? null : UNWRITTEN)],
  [["so-far-box", "expected-box"], (metric) => (several(everyRun.filter((run) => !isEmpty(metric, run)).map((run) => runs.point[run])) ? null : "fewer than two configurations have a value")],
  [["cost-box"], (metric) => (everyRun.some((run) => !isEmpty(metric, run) && runs.seconds[run] !== null) ? null : "no run says how long it took")],
  [["failures-box"], () => (page.causes.length ? null : "no trial failed")],
];

function several(values) {
  return new Set(values).size > 1;
}

function drawPanels() {
  const metric = metricNow();
  const said = [];
  for (const [ids, why] of ABSENT) {
    const boxes = ids.map((id) => document.getElementById(id)).filter((box) => metric || !box.classList.contains("needs-metric"));
    if (!boxes.length) continue;
    const reason = why(metric);
    for (const box of boxes) box.hidden = reason !== null;
    if (reason !== null) said.push(`${boxes.map((box, place) => panelName(box, place)).join(", ")}: ${reason}.`);
  }
  fill("absent", ...(said.length ? [element("b", {}, "Not shown. "), said.join(" ")] : []));
  layPanels();
}

function panelName(box, place) {
  const name = box.querySelector("h2").textContent;
  return place ? name.toLowerCase() : name;
}

// two in a row, or three on a wide screen; what is left over is as wide as the page
function layPanels() {
  const shownPanels = [...document.querySelectorAll("main > .card:not(.wide)")].filter((box) => !box.hidden);
  const five = shownPanels.length === 5; // three and two
  const thirds = five ? 3 : shownPanels.length % 3 === 0 ? shownPanels.length : 0;
  shownPanels.forEach((box, place) => {
    box.classList.toggle("lone", shownPanels.length % 2 === 1 && place === shownPanels.length - 1);
    box.classList.toggle("third", place < thirds);
    box.classList.toggle("half", five && place >= thirds);
  });
}
