// Marks of an axis: values that a person listed have their own; of all others a scale has some, wherever they lie.

const MOST_MARKS = 6;
const LEAST_MARKS = 3; // fewer do not say how a logarithmic scale runs
const MOST_TIMES = innerWidth < 600 ? 5 : 8;
const TIMES = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600,
  43200, 86400, 172800, 432000, 864000, 2592000,
];

// places on an axis whose values go from low to high; null where the chart's own marks are good
function marksOf(column, values, [low, high], log) {
  const to = log ? Math.log10 : (value) => value;
  if (column.listed) return apart(values.map(to), (to(high) - to(low)) * 0.04);
  if (column.unit !== "duration" && !log) return null;
  if (low === high) return [to(low)];
  const known = column.unit !== "duration" ? powers(low, high) : log ? TIMES : evenMarks(low, high, timeStep(low, high));
  const inside = known.filter((each) => each >= low && each <= high);
  return apart((inside.length < (log ? LEAST_MARKS : 2) ? evenMarks(low, high, evenStep(low, high)) : inside).map(to), log ? (to(high) - to(low)) / 10 : 0);
}

// marks that have room for their labels
function apart(places, room) {
  const kept = [];
  for (const place of places) if (!kept.length || place - kept.at(-1) >= room * 1.2) kept.push(place);
  return kept;
}

// 1, 10, 100, with 2 and 5 between them where few are seen
function powers(low, high) {
  const steps = high / low < 300 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const step of steps) found.push(Number(`${step}e${power}`));
  }
  return found;
}

// the least of 1, 2, 5, 10, ... of which not too many fit
function evenStep(low, high) {
  const power = Math.floor(Math.log10((high - low) / MOST_MARKS));
  return [1, 2, 5, 10].map((each) => each * 10 ** power).find((each) => (high - low) / each <= MOST_MARKS);
}

// even ones that people know; of very long times, days in tens, hundreds, ...
function timeStep(low, high) {
  return TIMES.find((each) => (high - low) / each <= MOST_TIMES) ?? 86400 * evenStep(low / 86400, high / 86400);
}

function evenMarks(low, high, step) {
  const first = Math.ceil(low / step);
  const some = Math.min(100, Math.floor(high / step) - first + 1);
  return Array.from({ length: Math.max(0, some) }, (_, place) => +((first + place) * step).toPrecision(12));
}

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

// a mark of time in the greatest unit of which all marks beside it are whole ones: 3 h, not 180 min; 60 s before 70 s
function markedTime(seconds, beside) {
  const marks = beside?.length ? beside : [seconds];
  const [size, unit] = UNITS.find(([each]) => marks.every((mark) => mark % each === 0) && marks.some((mark) => mark >= each)) ?? UNITS.at(-1);
  return `${number(seconds / size)} ${unit}`;
}
