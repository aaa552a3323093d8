// Smoothing of learning curves, off until somebody asks: for the eye alone, with what was measured faint behind.

// exponential moving average; divided by the weight that it has so far, so that it does not begin at zero
function smoothed(values, weight) {
  let sum = 0;
  let left = 1; // of the weight that has not been given yet
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + value * (1 - weight);
    left *= weight;
    return sum / (1 - left);
  });
}

function addSmoothing(id) {
  const slider = document.getElementById(id);
  // nothing else follows it, so that it can be dragged however many runs there are
  slider.addEventListener("input", () => {
    state.smooth = Number(slider.value);
    writeAddress();
    redrawSome(["curves", "compare-curves"]);
  });
}

function drawSmoothing(id) {
  const slider = document.getElementById(id);
  slider.value = state.smooth;
  fill(`${id}-value`, state.smooth ? state.smooth.toFixed(2) : "off");
}

function saySmoothed() {
  return state.smooth ? ` Smoothed over the points that the page has: an exponential moving average of weight ${state.smooth.toFixed(2)}. What was measured is faint behind, and all else on the page is of that.` : "";
}

// the curves as they were measured, below the smooth ones, and deaf to the mouse
function measuredBehind(lines, many) {
  if (!state.smooth) return [];
  return lines.map((each, place) => ({ ...curveSeries(each, place, many, each.values), id: `measured${place}`, silent: true, triggerLineEvent: false, z: 1, lineStyle: { color: each.colour, width: 1, type: DASHES[each.part] ?? "solid", opacity: 0.28 } }));
}
