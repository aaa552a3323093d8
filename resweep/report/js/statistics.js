// What is computed of the runs that are chosen; the same sums as resweep's own, which the tests hold these to.

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

// ranks from 1, equal values sharing the mean of theirs
function ranks(values) {
  const order = values.map((_, place) => place).sort((one, other) => values[one] - values[other]);
  const found = new Array(values.length);
  for (let first = 0; first < order.length; ) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1]] === values[order[first]]) last += 1;
    for (let place = first; place <= last; place += 1) found[order[place]] = (first + last) / 2 + 1;
    first = last + 1;
  }
  return found;
}

// Spearman's rank correlation; null where nothing varies or there are fewer than three pairs
function spearman(pairs) {
  if (pairs.length < 3) return null;
  const one = ranks(pairs.map((pair) => pair[0]));
  const other = ranks(pairs.map((pair) => pair[1]));
  const middle = (pairs.length + 1) / 2;
  let both = 0, first = 0, second = 0;
  for (let place = 0; place < pairs.length; place += 1) {
    both += (one[place] - middle) * (other[place] - middle);
    first += (one[place] - middle) ** 2;
    second += (other[place] - middle) ** 2;
  }
  return first && second ? both / Math.sqrt(first * second) : null;
}

// the repeats of one configuration together: the mean of each point's finished runs, null where one has no number
function byPoint(chosen, columns) {
  const points = new Map();
  for (const run of chosen) {
    if (runs.state[run] !== FINISHED) continue;
    if (!points.has(runs.point[run])) points.set(runs.point[run], []);
    points.get(runs.point[run]).push(run);
  }
  return [...points.values()].map((repeats) => ({
    runs: repeats,
    run: repeats[0],
    values: columns.map((column) => meanOf(column, repeats)),
  }));
}

const DIVERGED = /^-?(nan|inf|\d)/; // what is odd and yet a number; a text has quotes

function meanOf(column, repeats) {
  // a repeat that diverged is not hidden, one that measured nothing does not count
  if (repeats.some((run) => DIVERGED.test(column.odd[run] ?? ""))) return null;
  const known = repeats.map((run) => column.values[run]).filter((value) => value !== null);
  return known.length ? mean(known) : null;
}

// the expected best of n of these values, for each n, and its deviation; `drawn`: independent draws, not a grid's points
function expectedBest(values, mode, drawn) {
  const sign = mode === "max" ? 1 : -1;
  const ordered = Float64Array.from(values, (value) => sign * value).sort();
  return upTo(ordered.length).map((n) => ({ n, ...momentsOfBest(ordered, n, drawn, sign) }));
}

// each n up to 200, and some beyond, to the last
function upTo(count) {
  const found = new Set();
  for (let n = 1; n <= Math.min(count, 200); n += 1) found.add(n);
  for (let step = 1; step <= 100 && count > 200; step += 1) found.add(Math.round(200 * (count / 200) ** (step / 100)));
  return [...found];
}

function momentsOfBest(ordered, n, drawn, sign) {
  const total = ordered.length;
  let sum = 0, squares = 0;
  let below = 1; // the probability that the best of n is at most the value of this rank
  for (let rank = total; rank >= 1 && below > 0; rank -= 1) {
    const next = drawn ? ((rank - 1) / total) ** n : Math.max(0, (below * (rank - n)) / rank);
    const weight = below - next;
    const distance = ordered[total - 1] - ordered[rank - 1];
    sum += weight * distance;
    squares += weight * distance * distance;
    below = next;
  }
  const sd = Math.sqrt(Math.max(0, squares - sum * sum));
  const value = ordered[total - 1] - sum;
  const low = Math.max(ordered[0], value - sd);
  const high = Math.min(ordered[total - 1], value + sd);
  return { value: sign * value, sd, low: sign > 0 ? low : -high, high: sign > 0 ? high : -low };
}

// the runs in the order in which they ended, and the best until each
function bestSoFar(chosen, metric, mode) {
  const known = chosen.filter((run) => runs.state[run] === FINISHED && !isEmpty(metric, run));
  const timed = known.filter((run) => runs.ended[run] !== null);
  const ordered = timed.length
    ? timed.sort((one, other) => runs.ended[one] - runs.ended[other])
    : known.sort((one, other) => runs.number[one] - runs.number[other]);
  let best = null;
  return ordered.map((run) => {
    const value = metric.values[run];
    if (best === null || (mode === "max" ? value > best : value < best)) best = value;
    return { run, value, best };
  });
}
