// The sliders of a trial, and what follows them: tables, verdict, points of charts, lines for the spec.

/**
 * @param {HTMLElement} table
 * @param {string[][]} rows
 */
function fill(table, rows) {
  const body = only(table, "tbody", HTMLElement);
  body.replaceChildren(
    ...rows.map(([name, ...cells]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head, ...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      return row;
    }),
  );
}

/**
 * Moves a point of a chart; beyond its edges it stays at the edge.
 * @param {HTMLElement} chart
 * @param {string} selector
 * @param {number} cost
 * @param {number} percent
 */
function movePoint(chart, selector, cost, percent) {
  const [left, low, right, high, logarithmic] = (chart.dataset.ground ?? "").split(" ").map(Number);
  const svg = only(chart, "svg", SVGSVGElement);
  const frame = svg.viewBox.baseVal;
  const part = logarithmic ? Math.log(cost / left) / Math.log(right / left) : (cost - left) / (right - left);
  const inside = (/** @type {number} */ value) => Math.max(0, Math.min(value, 1));
  const x = FRAME.left + inside(part) * (frame.width - FRAME.left - FRAME.right);
  const y =
    frame.height - FRAME.bottom - inside((percent - low) / (high - low)) * (frame.height - FRAME.bottom - FRAME.top);
  const point = only(chart, selector, SVGCircleElement);
  point.setAttribute("cx", `${x}`);
  point.setAttribute("cy", `${y}`);
}

const FRAME = { left: 56, right: 14, top: 14, bottom: 40 }; // of comparison/charts.py

/**
 * @param {HTMLElement} root
 */
function setUpTrial(root) {
  const trial = readTrial(only(root, "script", HTMLScriptElement).textContent ?? "");
  const inputs = /** @type {HTMLInputElement[]} */ (every(root, "input[type=range]"));
  const planned = trial.sliders.map((slider) => slider.planned);
  const before = trial.sets.map((set) => outcomeOf(trial, set, planned));
  const charts = every(root, ".chart");
  const lines = root.querySelector("textarea");

  const show = () => {
    const positions = inputs.map((input) => Number(input.value));
    inputs.forEach((input, number) => {
      const slider = trial.sliders[number];
      const text = realThreshold(slider, positions[number]);
      only(input.parentElement ?? root, "output", HTMLElement).textContent = Number(text)
        .toPrecision(5)
        .replace(/\.?0+$/, "");
      input.setAttribute("aria-valuetext", `${slider.measure} ${text}`);
    });
    trial.sets.forEach((set, at) => {
      const tried = outcomeOf(trial, set, positions);
      fill(only(root, `table[data-set="${at}"]`, HTMLElement), rowsOf(trial, set, tried, before[at]));
      for (const energy of [false, true]) {
        const chart = charts.filter((one) => one.dataset.energy === `${Number(energy)}`)[at];
        if (!chart) continue;
        const cost = (/** @type {Outcome} */ one) => (energy ? one.picojoules / 1e6 : one.cycles) / set.images;
        const percent = (/** @type {Outcome} */ one) => (100 * one.right) / set.images;
        movePoint(chart, ".planned", cost(before[at]), percent(before[at]));
        movePoint(chart, ".live", cost(tried), percent(tried));
      }
    });
    const verdict = verdictOf(trial, positions);
    const told = only(root, ".verdict", HTMLElement);
    told.className = `verdict ${verdict.state}`;
    told.textContent = verdict.text;
    told.dataset.p = verdict.p === null ? "" : String(verdict.p);
    if (lines) lines.value = specLines(trial, positions);
  };

  for (const input of inputs) input.addEventListener("input", show);
  only(root, "button.planned", HTMLElement).addEventListener("click", () => {
    inputs.forEach((input, number) => {
      input.value = String(planned[number]);
    });
    show();
  });
  for (const choice of every(root, "input[type=radio]")) {
    choice.addEventListener("change", () => {
      const wanted = only(root, "input[type=radio]:checked", HTMLInputElement).value;
      for (const chart of charts) chart.hidden = chart.dataset.energy !== wanted;
    });
  }
  root.querySelector("button.copy")?.addEventListener("click", () => copyLines(root));
  show();
}

/**
 * Copies the lines for the spec; where the clipboard is closed they are shown and selected.
 * @param {HTMLElement} root
 */
async function copyLines(root) {
  const lines = only(root, "textarea", HTMLTextAreaElement);
  const told = only(root, ".copied", HTMLElement);
  try {
    await navigator.clipboard.writeText(lines.value);
    told.textContent = "copied";
  } catch {
    only(root, "details.lines", HTMLDetailsElement).open = true;
    lines.select();
    told.textContent = "selected below: copy it with the keyboard";
  }
}

for (const root of every(document, ".trial")) setUpTrial(root);
