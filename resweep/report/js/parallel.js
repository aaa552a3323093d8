// Parallel coordinates: a line per run through its swept values to the metric; a brush on an axis filters everything.

const MOST_AXES = 12;
const MOST_LINES = 2000; // more cannot be told apart, and take their time
const MOST_BEHIND = 600; // lines of runs that are filtered out, drawn faintly

function parallelColumns() {
  const metric = metricNow();
  const chosen = varying().slice(0, MOST_AXES);
  return metric ? [...chosen, metric] : chosen;
}

function addParallel() {
  const chart = addChart("parallel", drawParallel);
  chart.started = listenToAxes;
  chart.drawn = showBrushes;
  chart.runsAt = (event) => (event.seriesId === "chosen" ? { run: event.value.at(-1) } : null);
}

function drawParallel(chart) {
  const dimensions = parallelColumns();
  chart.dimensions = dimensions;
  setBrushes(chart);
  const metric = metricNow();
  const hasValue = (run) => !isEmpty(metric, run); // what has none would end at no place of the metric's axis
  const all = orderedByMetric(selected().filter(hasValue));
  const chosen = evenly(all, MOST_LINES);
  const inside = new Set(all);
  const behind = evenly(everyRun.filter((run) => !inside.has(run) && hasValue(run)), MOST_BEHIND);
  fill("parallel-note", ...(chosen.length < all.length ? [`${plural(chosen.length, "line")} of ${all.length.toLocaleString("en")} are drawn, evenly from the worst to the best.`] : []));
  const width = Math.max(chart.element.parentElement.clientWidth, dimensions.length * 92);
  chart.element.style.width = `${width}px`;
  chart.instance.resize();
  const row = (run) => [...dimensions.map((each) => place(each, run)), colourValue(run), run];
  const opacity = Math.max(0.12, Math.min(0.85, 60 / Math.sqrt(chosen.length + 1) / 8));
  const lines = { type: "parallel", progressive: 0, smooth: false };
  return {
    says: `Parallel coordinates of ${plural(all.length, "run")}: ${dimensions.map((each) => each.name).join(", ")}`,
    options: {
      animation: false,
      parallel: { left: 60, right: 64, top: 34, bottom: 18, axisExpandable: false, parallelAxisDefault: { realtime: false } },
      parallelAxis: dimensions.map((each, dim) => parallelAxis(each, dim, (width - 124) / dimensions.length)),
      visualMap: colourMap(dimensions.length, 1),
      series: [
        { ...lines, id: "behind", silent: true, inactiveOpacity: 0.05, activeOpacity: 0.1, lineStyle: { color: colours().soft, width: 1, opacity: 0.1 }, data: behind.map(row) },
        { ...lines, id: "chosen", inactiveOpacity: 0.03, lineStyle: { width: chosen.length > 300 ? 1 : 1.6, opacity }, emphasis: { lineStyle: { width: 3, opacity: 1 } }, data: chosen.map(row) },
      ],
    },
  };
}

// at most so many of a list, at even distances, with the first and the last
function evenly(list, most) {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, number) => list[Math.round((number * (list.length - 1)) / (most - 1))]);
}

function place(column, run) {
  return isEmpty(column, run) ? "-" : jittered(column, column.values[run], run);
}

// the best last, so that they are drawn above the others
function orderedByMetric(some) {
  const metric = metricNow();
  if (!metric) return some;
  const sign = state.mode === "max" ? 1 : -1;
  const worth = (run) => (isEmpty(metric, run) ? -Infinity : sign * metric.values[run]);
  return [...some].sort((one, other) => worth(one) - worth(other) || other - one);
}

function parallelAxis(column, dim, room) {
  const paint = colours();
  const options = axisOptions(column, short(label(column), Math.max(8, Math.min(16, Math.floor(room / 6.5)))));
  return {
    ...options, dim, z: 20, axisLabel: { ...options.axisLabel, color: paint.text, backgroundColor: `${paint.card}d9`, borderRadius: 3, padding: [1, 3] }, nameLocation: "end", nameGap: 12,
    inverse: column.key === state.metric && state.mode === "min",
    axisLine: { lineStyle: { color: paint.soft } }, splitLine: { show: false },
    areaSelectStyle: { width: 18, borderColor: paint.accent, color: paint.accent, opacity: 0.25 },
    nameTextStyle: { color: paint.text, fontSize: 11, fontWeight: column.kind === "metric" ? "bold" : "normal" },
  };
}

function colourColumn() {
  return state.colour === "metric" ? metricNow() : columns.get(state.colour);
}

function colourValue(run) {
  const column = colourColumn();
  return column && !isEmpty(column, run) ? axisOf(column).to(column.values[run]) : NaN;
}

// a gradient, or one colour for each label
function colourMap(dimension, seriesIndex) {
  const column = colourColumn();
  if (!column) return { show: false, dimension, seriesIndex, min: 0, max: 1, inRange: { color: [colours().accent] } };
  const labels = column.labels?.length;
  const [low, high] = extent(different(column)) ?? [0, 1];
  const few = labels && labels <= SWEEPS.length;
  const range = few ? SWEEPS.slice(0, Math.max(2, labels)) : state.mode === "min" && column === metricNow() ? gradient().reverse() : gradient();
  return {
    show: false, dimension, seriesIndex, inRange: { color: range }, outOfRange: { color: colours().line },
    min: few ? 0 : axisOf(column).to(low), max: few ? Math.max(1, labels - 1) : axisOf(column).to(high) + (low === high),
  };
}

// --- brushes on the axes: said by the chart, and shown on it when another part of the page filters

function listenToAxes(chart) {
  chart.instance.on("axisareaselected", (event) => {
    const dim = chart.axisIds.indexOf(event.parallelAxisId);
    const column = chart.dimensions[dim];
    if (column) setFilter(column.key, brushFilter(column, event.intervals));
  });
}

function brushFilter(column, intervals) {
  const filters = (intervals ?? []).map(([low, high]) => filterBetween(column, Math.min(low, high), Math.max(low, high)));
  if (!filters.length || filters.includes(null)) return null;
  if (column.labels) return { codes: [...new Set(filters.flatMap((each) => each.codes))].sort((one, other) => one - other) };
  return { ranges: filters.map((each) => each.ranges[0]) };
}

// before drawing, since a brush that an action sets is drawn on other axes only
function setBrushes(chart) {
  chart.dimensions.forEach((column, dim) => axisModel(chart, dim)?.setActiveIntervals(intervalsOf(column, state.filters[column.key])));
}

function showBrushes(chart) {
  chart.axisIds = chart.dimensions.map((_, dim) => axisModel(chart, dim).id);
  if (chart.brushable) return;
  chart.brushable = true; // the first time there were no axes before
  setBrushes(chart);
  chart.instance.setOption({});
}

function axisModel(chart, dim) {
  return chart.instance.getModel()?.getComponent("parallelAxis", dim);
}

function intervalsOf(column, filter) {
  const axis = axisOf(column);
  const room = axis.gap * JITTER * 0.6;
  if (filter?.ranges) return filter.ranges.map(([low, high]) => [Math.max(axis.min, axis.to(low) - room), Math.min(axis.max, axis.to(high) + room)]);
  return (filter?.codes ?? []).map((code) => [code - 0.3, code + 0.3]);
}
