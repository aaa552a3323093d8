// Colours: from the style sheet, so that light, dark and print are said once; told apart by colour-blind people, too.

const SWEEPS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a00", "#7f7f7f"]; // Okabe and Ito
// viridis, whose lightness rises evenly; the good end is the one that stands out from the background
const VIRIDIS = ["#440154", "#443983", "#31688e", "#21918c", "#35b779", "#90d743", "#fde725"];
const PALE_END = 1; // of viridis cannot be seen on white, or of its dark end on black

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function gradient() {
  return isDark() ? VIRIDIS.slice(PALE_END) : VIRIDIS.slice(0, -PALE_END).reverse();
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: get("text"), soft: get("soft"), line: get("line"), accent: get("accent"), faint: get("faint"), card: get("card") };
}

function sweepColour(sweep) {
  return page.sweeps.length > 1 ? SWEEPS[sweep % SWEEPS.length] : colours().accent;
}

// eight colours come again in other lines and marks: no two sweeps of 24 are alike
const STROKES = ["solid", "dashed", "dotted"];
const SYMBOLS = ["circle", "rect", "triangle", "diamond"];

function sweepStroke(sweep) {
  return STROKES[Math.floor(sweep / SWEEPS.length) % STROKES.length];
}

function sweepSymbol(sweep) {
  return SYMBOLS[(sweep + Math.floor(sweep / SWEEPS.length)) % SYMBOLS.length];
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.textContent = theme === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-label", `Switch to ${theme === "dark" ? "light" : "dark"} colours`);
}

// what a person chose here counts, until then what their system says
function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = stored("resweep-theme");
  setTheme(chosen ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => {
    if (!chosen) switchTheme(system.matches ? "dark" : "light");
  });
  document.getElementById("theme").addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    store("resweep-theme", chosen);
    switchTheme(chosen);
  });
}

function switchTheme(theme) {
  setTheme(theme);
  change({});
}

// some browsers keep nothing for files
function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // then it is asked of the system again next time
  }
}
