// Points: each parameter against the metric, quality against time, best so far; a box drawn in one filters everything.

const MOST_SCATTERS = 12;
const LARGE = 2500; // points that are drawn all at once, in one colour a sweep

// x, y: columns; `connect`: lines through some of the points, by sweep
function drawScatter(chart, x, y, series = []) {
  chart.x = x;
  chart.y = y;
  const items = scatterItems(x, y);
  chart.items = page.sweeps.map((_, sweep) => items.filter((item) => runs.sweep[item.run] === sweep));
  const paint = colours();
  const shownBehind = Object.keys(state.filters).length ? behindItems(x, y) : [];
  const dots = { type: "scatter", large: true, largeThreshold: LARGE, progressive: 0 };
  return {
    says: `${y.name} against ${x.name}: ${plural(items.length, "point")}`,
    options: {
      animation: false,
      grid: { left: 8, right: 14, top: 12, bottom: 24, containLabel: true },
      xAxis: { ...axisOptions(x, short(label(x), Math.max(16, Math.floor((chart.element.clientWidth - 40) / 7)))), nameLocation: "middle", nameGap: 26 },
      yAxis: { ...axisOptions(y), name: "" },
      brush: { xAxisIndex: 0, yAxisIndex: 0, transformable: false, brushStyle: { color: paint.accent, opacity: 0.15, borderColor: paint.accent }, outOfBrush: {} },
      series: [
        { ...dots, id: "behind", silent: true, symbolSize: 4, itemStyle: { color: paint.soft, opacity: 0.18 }, data: shownBehind },
        ...chart.items.map((own, sweep) => ({
          ...dots, id: `chosen${sweep}`, symbol: sweepSymbol(sweep), symbolSize: items.length > 1000 ? 4 : items.length > 200 ? 6 : 8,
          itemStyle: { color: sweepColour(sweep), opacity: items.length > 1000 ? 0.5 : 0.75 },
          emphasis: { scale: 1.6 }, data: own.map((item) => dot(item, sweep, items.length)),
        })),
        ...series,
      ],
    },
  };
}

// a run that was pruned is hollow, as far as each dot can be drawn by itself
function dot(item, sweep, many) {
  if (many > LARGE || runs.state[item.run] !== PRUNED) return item.at;
  return { value: item.at, itemStyle: { color: "transparent", borderColor: sweepColour(sweep), borderWidth: 1.5 } };
}

function addScatter(id, columnsOf, series = () => []) {
  const chart = addChart(id, () => {
    const [x, y] = columnsOf();
    return drawScatter(chart, x, y, series(x, y));
  });
  chart.started = listenToBox;
  chart.drawn = startBox;
  chart.runsAt = (event) => {
    const sweep = /^chosen(\d+)$/.exec(event.seriesId ?? "")?.[1];
    return sweep === undefined ? null : chart.items[sweep][event.dataIndex];
  };
  return chart;
}

function scatterItems(x, y) {
  if (state.by === "run") return runItems(selected(), x, y);
  return byPoint(selected(), [x, y])
    .filter((point) => point.values.every((value) => value !== null))
    .map((point) => ({ ...point, at: [jittered(x, point.values[0], point.run), axisOf(y).to(point.values[1])] }));
}

function runItems(some, x, y) {
  const found = [];
  for (const run of some) {
    if (isEmpty(x, run) || isEmpty(y, run)) continue;
    found.push({ run, at: [jittered(x, x.values[run], run), axisOf(y).to(y.values[run])] });
  }
  return found;
}

function behindItems(x, y) {
  const inside = new Set(selected());
  return runItems(everyRun.filter((run) => !inside.has(run)), x, y).map((item) => item.at);
}

// a drag draws a box wherever it begins
function startBox(chart) {
  chart.instance.dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption: { brushType: "rect", brushMode: "single" } });
}

function listenToBox(chart) {
  chart.instance.on("brushEnd", (event) => {
    const [[left, right], [bottom, top]] = event.areas[0]?.coordRange ?? [[], []];
    if (left === undefined) return;
    // what is chosen stands out by colour, and above by name; the box itself has done its work
    chart.instance.dispatchAction({ type: "brush", areas: [] });
    setFilters({ ...boxFilter(chart.x, left, right), ...boxFilter(chart.y, bottom, top) });
  });
}

// a box that reaches from end to end says nothing of that axis
function boxFilter(column, low, high) {
  const axis = axisOf(column);
  if (low <= axis.min + (axis.max - axis.min) * 0.02 && high >= axis.max - (axis.max - axis.min) * 0.02) return {};
  const filter = filterBetween(column, low, high);
  return filter ? { [column.key]: filter } : {};
}

// --- one for each parameter

let parameterCharts = [];

function addParameterCharts() {
  const parameters = varying().slice(0, MOST_SCATTERS);
  parameterCharts = parameters.map((column) => {
    const canvas = element("div", { class: "chart scatter" });
    document.getElementById("scatters").append(element("figure", {}, canvas));
    const chart = addScatter(canvas, () => [column, metricNow()]);
    chart.column = column;
    return chart;
  });
}
