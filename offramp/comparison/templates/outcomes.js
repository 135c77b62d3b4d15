// Thresholds that are tried by hand. What is shown is counted image by image, exactly, in integers; p-values are the
// tool's own, from a table. See comparison/encoded.py for what the page holds.
/** @typedef {{stage: number, measure: string, unit: number, stops: number[], planned: number}} Slider */
/**
 * `levels`: by early stage, the first stop at which an image leaves; `sliders`: which slider that is of, or null where
 * a stage has one, the number `first`; `right`: a bit for each stage. The first `tested` images test the guarantee.
 * @typedef {{name: string, images: number, tested: number, levels: Uint16Array[], sliders: (Uint16Array | null)[],
 *   first: number[], right: Uint16Array}} ImageSet
 */
/**
 * @typedef {{rate: number, delta: number, images: number, allowed: number, pValues: number[], coversAll: boolean}} Risk
 */
/**
 * @typedef {{stages: string[], sliders: Slider[], sets: ImageSet[], cycles: number[], picojoules: number[],
 *   clock: number, drop: number | null, risk: Risk | null, lines: {texts: string[], sliders: number[]} | null}} Trial
 */
/**
 * Counts of images, sums of costs over them; `worst`: the most cycles of one of them; `lost`: of the images that test,
 * those that the last stage answers rightly and the chain does not.
 * @typedef {{leave: number[], right: number, rightAlone: number, cycles: number, picojoules: number, worst: number,
 *   lost: number}} Outcome
 */

/**
 * 16-bit integers from base64, the low byte first.
 * @param {string} text
 * @returns {Uint16Array}
 */
function decoded(text) {
  const bytes = atob(text);
  return Uint16Array.from(
    { length: bytes.length / 2 },
    (_, at) => bytes.charCodeAt(2 * at) + 256 * bytes.charCodeAt(2 * at + 1),
  );
}

/**
 * @param {string} text
 * @returns {Trial}
 */
function readTrial(text) {
  const found = JSON.parse(text);
  for (const set of found.sets) {
    set.levels = set.levels.map(decoded);
    set.sliders = set.sliders.map((/** @type {string | null} */ one) => (one === null ? null : decoded(one)));
    set.right = decoded(set.right);
  }
  return found;
}

/**
 * What a setting gives on a set of images. `positions`: a stop of each slider, by number.
 * @param {Trial} trial
 * @param {ImageSet} set
 * @param {number[]} positions
 * @returns {Outcome}
 */
function outcomeOf(trial, set, positions) {
  const last = trial.stages.length - 1;
  const leave = new Array(last + 1).fill(0);
  let right = 0;
  let rightAlone = 0;
  let lost = 0;
  for (let image = 0; image < set.images; image++) {
    let stage = 0;
    for (; stage < last; stage++) {
      const own = set.sliders[stage];
      if (set.levels[stage][image] <= positions[own ? own[image] : set.first[stage]]) break;
    }
    leave[stage]++;
    const here = (set.right[image] >> stage) & 1;
    const alone = (set.right[image] >> last) & 1;
    right += here;
    rightAlone += alone;
    if (image < set.tested && alone && !here) lost++;
  }
  const sum = (/** @type {number[]} */ costs) => costs.reduce((all, cost, stage) => all + cost * leave[stage], 0);
  const worst = Math.max(...trial.cycles.filter((_, stage) => leave[stage] > 0));
  return { leave, right, rightAlone, cycles: sum(trial.cycles), picojoules: sum(trial.picojoules), worst, lost };
}

/**
 * The exact binomial p-value of so many losses among the images that test.
 * @param {Risk} risk
 * @param {number} losses
 * @returns {number}
 */
function pValue(risk, losses) {
  return losses >= risk.images ? 1 : risk.pValues[Math.min(losses, risk.pValues.length - 1)];
}

/**
 * A threshold in real units, as the spec takes it: nothing is lost, and no exponent is written.
 * @param {Slider} slider
 * @param {number} position
 * @returns {string}
 */
function realThreshold(slider, position) {
  const text = String(slider.stops[position] / slider.unit);
  return text.includes("e") ? (slider.stops[position] / slider.unit).toFixed(40).replace(/0+$/, "") : text;
}

/**
 * The lines of the spec with a setting.
 * @param {Trial} trial
 * @param {number[]} positions
 * @returns {string}
 */
function specLines(trial, positions) {
  if (!trial.lines) return "";
  const { texts, sliders } = trial.lines;
  return texts
    .map((text, at) =>
      at < sliders.length ? text + realThreshold(trial.sliders[sliders[at]], positions[sliders[at]]) : text,
    )
    .join("");
}

/**
 * Whether the limit is kept and the guarantee holds, in words.
 * @param {Trial} trial
 * @param {number[]} positions
 * @returns {{state: "kept" | "open" | "lost" | "", text: string, p: number | null}}
 */
function verdictOf(trial, positions) {
  const set = trial.sets.find((one) => one.name === "calibration");
  const planned = trial.sliders.every((slider, number) => slider.planned === positions[number]);
  const as = planned ? "As planned" : "Tried";
  if (!set) return { state: "", text: `${as}. The spec gives the thresholds; it asks for no limit.`, p: null };
  const found = outcomeOf(trial, set, positions);
  const fall = (100 * (found.rightAlone - found.right)) / set.images;
  const points = `accuracy on the calibration images falls by ${fall.toFixed(2)} points`;
  if (!trial.risk) {
    if (trial.drop === null) return { state: "", text: `${as}: ${points}.`, p: null };
    const kept = found.rightAlone - found.right <= Math.floor((trial.drop / 100) * set.images + 1e-9);
    const limit = `${points}; the limit of ${trial.drop} is ${kept ? "kept" : "exceeded"}`;
    return { state: kept ? "kept" : "lost", text: `${as}: ${limit}. No guarantee was asked for (risk).`, p: null };
  }
  const { risk } = trial;
  const p = pValue(risk, found.lost);
  const counts = `${found.lost} of ${risk.images} images lost, ${risk.allowed} allowed; exact binomial p = ${p.toPrecision(4)}`;
  const most = Number((100 * risk.rate).toPrecision(12));
  const limit = `a loss of at most ${most} point${most === 1 ? "" : "s"} on new data with probability ${Number((100 * (1 - risk.delta)).toPrecision(12))}%`;
  if (found.lost > risk.allowed)
    return { state: "lost", text: `${as}: not guaranteed (${counts}): no promise of ${limit}.`, p };
  if (planned || risk.coversAll) return { state: "kept", text: `${as}: guaranteed (${counts}): ${limit}.`, p };
  const why = "this setting was not in the order of tests that the tool fixed beforehand, so new images must test it";
  return { state: "open", text: `${as}: it passes the test (${counts}), but ${why}.`, p };
}

/**
 * With its sign and two decimals.
 * @param {number} value
 * @returns {string}
 */
function signed(value) {
  return `${value < 0 ? "" : "+"}${value.toFixed(2)}`;
}

/**
 * Rows of a table: what, tried, as planned.
 * @param {Trial} trial
 * @param {ImageSet} set
 * @param {Outcome} tried
 * @param {Outcome} planned
 * @returns {string[][]}
 */
function rowsOf(trial, set, tried, planned) {
  const percent = (/** @type {number} */ count) => `${((100 * count) / set.images).toFixed(2)}%`;
  const points = (/** @type {Outcome} */ one) => signed((100 * (one.right - one.rightAlone)) / set.images);
  const whole = (/** @type {number} */ value) => Math.round(value).toLocaleString("en-US");
  const time = (/** @type {number} */ cycles) => `${((cycles * 1e3) / trial.clock).toFixed(3)} ms`;
  /** @type {[string, (one: Outcome) => string][]} */
  const measures = [
    ...trial.stages.map(
      (name, stage) =>
        /** @type {[string, (one: Outcome) => string]} */ ([`leave at ${name}`, (one) => percent(one.leave[stage])]),
    ),
    ["accuracy", (one) => percent(one.right)],
    ["against the last stage alone", (one) => `${points(one)} points`],
    ["mean cycles", (one) => `~${whole(one.cycles / set.images)}`],
    ["mean time", (one) => `~${time(one.cycles / set.images)}`],
    ["worst cycles", (one) => `~${whole(one.worst)}`],
  ];
  if (trial.picojoules.some((one) => one > 0)) {
    const last = measures.length - 1; // worst cycles
    measures.splice(last, 0, ["mean energy", (one) => `~${(one.picojoules / set.images / 1e6).toFixed(2)} uJ`]);
  }
  return measures.map(([name, show]) => [name, show(tried), show(planned)]);
}
