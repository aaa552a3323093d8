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

const EXACT = 8; // of so many pairs every order is tried
const LEAST_SURE = 5; // of fewer pairs no order is unlikely enough
const SURE = 0.05;

// the probability that pairs without any relation have so great a rank correlation, of either sign
function chance(pairs, rho) {
  if (rho === null) return null;
  return pairs.length <= EXACT ? chanceOfOrders(pairs, rho) : chanceOfT(pairs.length, rho);
}

function chanceOfOrders(pairs, rho) {
  const middle = (pairs.length + 1) / 2;
  const one = ranks(pairs.map((pair) => pair[0])).map((rank) => rank - middle);
  const other = ranks(pairs.map((pair) => pair[1])).map((rank) => rank - middle);
  const size = Math.sqrt(one.reduce((sum, rank) => sum + rank * rank, 0) * other.reduce((sum, rank) => sum + rank * rank, 0));
  const limit = Math.abs(rho) * size - 1e-9 * size;
  let as = 0, all = 0;
  const place = (next, sum) => {
    if (next === one.length) {
      all += 1;
      as += Math.abs(sum) >= limit ? 1 : 0;
      return;
    }
    for (let swap = next; swap < other.length; swap += 1) {
      [other[next], other[swap]] = [other[swap], other[next]];
      place(next + 1, sum + one[next] * other[next]);
      [other[next], other[swap]] = [other[swap], other[next]];
    }
  };
  place(0, 0);
  return as / all;
}

// Student's t with n - 2 degrees of freedom: with t = sqrt(free) tan(angle) its tail is an integral over cosines
function chanceOfT(n, rho) {
  const free = n - 2;
  const angle = Math.asin(Math.min(1, Math.abs(rho)));
  // the integral of cos^(free - 1) from 0 to an angle, by parts, two powers at a time
  const upToAngle = (end) => {
    let power = (free - 1) % 2;
    let sum = power ? Math.sin(end) : end;
    for (power += 2; power <= free - 1; power += 2) sum = (Math.cos(end) ** (power - 1) * Math.sin(end) + (power - 1) * sum) / power;
    return sum;
  };
  return Math.min(1, Math.max(0, 1 - upToAngle(angle) / upToAngle(Math.PI / 2)));
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

// the best by the mean of its repeats; one that ran once has none, and is good by luck more often; nor one of which any
// has no number
function bestPoint(chosen, column, mode) {
  const sign = mode === "max" ? 1 : -1;
  const known = byPoint(chosen, [column]).map((point) => ({ ...point, value: point.values[0] })).filter((point) => point.value !== null && point.runs.length > 1);
  return known.reduce((best, point) => (best === null || sign * point.value > sign * best.value ? point : best), null);
}

// points by what was tried: a pruned run counts with the value at which it stopped, and makes its point's value a bound
function tried(chosen, column) {
  const points = new Map();
  for (const run of chosen) {
    const pruned = runs.state[run] === PRUNED;
    if (runs.state[run] !== FINISHED && !(pruned && (!isEmpty(column, run) || diverged(column, run)))) continue;
    if (!points.has(runs.point[run])) points.set(runs.point[run], { runs: [], pruned: false });
    const point = points.get(runs.point[run]);
    point.runs.push(run);
    point.pruned ||= pruned;
  }
  return [...points.values()].map((point) => ({
    ...point, value: meanOf(column, point.runs), diverged: point.runs.some((run) => diverged(column, run)),
  }));
}

// the values of points that were tried: one that diverged got nothing, and counts as the worst of the others
function triedValues(points, mode) {
  const known = points.map((point) => point.value).filter((value) => value !== null);
  const worst = known.reduce((one, other) => ((mode === "max" ? other < one : other > one) ? other : one), known[0]);
  return known.length ? [...known, ...points.filter((point) => point.diverged).map(() => worst)] : [];
}

function median(values) {
  const ordered = [...values].sort((one, other) => one - other);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : ordered[middle - 1] / 2 + ordered[middle] / 2;
}

const DIVERGED = /^-?(nan|inf|\d)/; // what is odd and yet a number; a text has quotes

function diverged(column, run) {
  return DIVERGED.test(column.odd[run] ?? "");
}

function meanOf(column, repeats) {
  // a repeat that diverged is not hidden, one that measured nothing does not count
  if (repeats.some((run) => diverged(column, run))) return null;
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
