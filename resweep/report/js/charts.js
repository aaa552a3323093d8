// Charts: drawn when they can be seen, and only then; their axes, whose ends never follow a filter; what the mouse says.

const charts = [];
const FEW = 12; // different values that each get a mark of their own
const JITTER = 0.3; // of the gap between two of these: runs of one value stand beside each other
const drawnWhenSeen = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    const chart = charts.find((each) => each.element === target);
    if (!chart) continue;
    chart.seen = isIntersecting;
    drawIfSeen(chart);
  }
}, { rootMargin: "150px" });

// `draw(chart)` gives ECharts' options, and says in words what is to be seen
function addChart(id, draw) {
  const element = typeof id === "string" ? document.getElementById(id) : id;
  element.setAttribute("role", "img");
  const chart = { element, draw, instance: null, seen: false, stale: true, runsAt: () => null };
  charts.push(chart);
  drawnWhenSeen.observe(element);
  new ResizeObserver(() => chart.instance?.resize()).observe(element);
  return chart;
}

function removeChart(chart) {
  drawnWhenSeen.unobserve(chart.element);
  chart.instance?.dispose();
  charts.splice(charts.indexOf(chart), 1);
}

function redrawCharts() {
  charts.forEach(redrawChart);
}

function redrawSome(ids) {
  charts.filter((each) => ids.includes(each.element.id)).forEach(redrawChart);
}

function redrawChart(chart) {
  chart.stale = true;
  drawIfSeen(chart);
}

function drawIfSeen(chart) {
  if (chart.seen && chart.stale) drawChart(chart);
}

function drawChart(chart) {
  if (!chart.element.clientWidth) return;
  chart.stale = false;
  if (!chart.instance) {
    chart.instance = echarts.init(chart.element);
    listenToMouse(chart);
    chart.started?.(chart);
  }
  const { options, says } = chart.draw(chart);
  chart.element.setAttribute("aria-label", says);
  chart.instance.setOption(options, { replaceMerge: ["series"] });
  chart.drawn?.(chart);
}

function listenToMouse(chart) {
  chart.instance.on("mouseover", (event) => {
    const found = chart.runsAt(event);
    if (found) showTip(event.event.event, found);
  });
  chart.instance.on("mouseout", hideTip);
  chart.instance.on("globalout", hideTip);
  chart.instance.on("click", (event) => {
    const found = chart.runsAt(event);
    if (found?.run !== undefined) openRun(found.run);
  });
}

// --- what the mouse is over

function showTip(event, { run, runs: repeats = [run], lines = null }) {
  const tip = document.getElementById("tip");
  const about = lines ?? tipLines(run, repeats);
  tip.replaceChildren(...about.map(([name, value]) => element("div", {}, element("span", {}, name), element("b", {}, value))));
  tip.hidden = false;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

function tipLines(run, repeats) {
  const several = repeats.length > 1;
  const metric = metricNow();
  const known = metric ? repeats.map((each) => metric.values[each]).filter((value) => value !== null) : [];
  const spread = deviation(known);
  const measured = several && known.length ? `${withSpread(mean(known), spread)} (n = ${known.length})` : null;
  return [
    [several ? `${runName(run)} and repeats` : runName(run), shown(own.state, run)],
    ...(metric ? [[metric.name, measured ?? shown(metric, run)]] : []),
    ...varying().slice(0, 12).map((each) => [label(each), short(shown(each, run), 40)]),
    ["duration", shown(own.seconds, run)],
  ];
}

// --- axes: a column's values -> places on a linear axis, and back

function axisOf(column) {
  if (!column.axis) column.axis = makeAxis(column);
  return column.axis;
}

function makeAxis(column) {
  const log = column.log || (column.kind === "metric" && spreads(column.values.filter((value) => value !== null)));
  const to = log ? Math.log10 : (value) => value;
  const from = log ? (place) => 10 ** place : (place) => place;
  if (column.labels) return labelAxis(column);
  const values = different(column);
  const [low, high] = extent(column.drawn ?? values) ?? [0, 1];
  const few = column.listed;
  const gap = few ? smallestGap(values.map(to)) : 0;
  const edge = (to(high) - to(low)) * 0.04 || Math.abs(to(high)) * 0.1 || 1;
  const room = Math.max(edge, gap * JITTER);
  const ticks = marksOf(column, values, [low, high], log);
  const written = (place) => (log ? +from(place).toPrecision(6) : +place.toPrecision(10));
  const label = (place) => (column.unit === "duration" ? markedTime(written(place), log ? null : ticks) : plain(column, written(place)));
  const least = !log && values.every(Number.isInteger) ? 1 : 0; // no half between two that are whole
  return { log, least, to, from, few, gap, min: to(low) - room, max: to(high) + room, ticks, label };
}

function labelAxis(column) {
  const last = column.labels.length - 1;
  return {
    log: false, to: (code) => code, from: (place) => place, few: true, gap: 1, min: -0.5, max: last + 0.5,
    ticks: apart(column.labels.map((_, code) => code), last / 14),
    label: (place) => short(column.labels[Math.round(place)] ?? "", 14),
  };
}

function axisOptions(column, name = column.name) {
  const axis = axisOf(column);
  const paint = colours();
  const marks = axis.ticks ? { customValues: axis.ticks } : {};
  return {
    type: "value", name, min: axis.min, max: axis.max, scale: true, minInterval: axis.least ?? 0,
    axisLine: { show: true, lineStyle: { color: paint.line } },
    axisTick: { show: true, lineStyle: { color: paint.line }, ...marks },
    axisLabel: { color: paint.soft, fontSize: 11, formatter: axis.label, showMinLabel: Boolean(axis.ticks), showMaxLabel: Boolean(axis.ticks), hideOverlap: true, ...marks },
    splitLine: { lineStyle: { color: paint.faint } },
    nameTextStyle: { color: paint.text, fontSize: 12 },
  };
}

function smallestGap(places) {
  const gaps = places.slice(1).map((place, number) => place - places[number]);
  return gaps.length ? Math.min(...gaps) : 0;
}

// runs of the same value stand beside each other; always at the same place
function jittered(column, value, run) {
  const axis = axisOf(column);
  return count <= FEW ? axis.to(value) : axis.to(value) + (((run * 7919) % 997) / 997 - 0.5) * axis.gap * JITTER;
}

// places between the ends of a brush -> a filter on the column; what is drawn beside its value counts as at it
function filterBetween(column, low, high) {
  const axis = axisOf(column);
  if (!axis.few) return { ranges: [[axis.from(low), axis.from(high)]] };
  const room = (axis.gap * JITTER) / 2;
  const inside = (place) => place >= low - room && place <= high + room;
  if (column.labels) {
    const codes = column.labels.map((_, code) => code).filter(inside);
    return codes.length ? { codes } : null;
  }
  const values = different(column).filter((value) => inside(axis.to(value)));
  return values.length ? { ranges: [[values[0], values.at(-1)]] } : null;
}
