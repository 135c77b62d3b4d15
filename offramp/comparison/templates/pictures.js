// Pictures of memories and of time. One block of a picture is in the order of Tab; arrow keys, Home and End move between
// them. What a block is stands below its picture; blocks of the same layer are outlined everywhere.
/**
 * All elements below one that a selector finds.
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
function every(root, selector) {
  return Array.from(root.querySelectorAll(selector));
}

/**
 * The only element of a kind below one.
 * @template {Element} Kind
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
function only(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`there is no ${selector}`);
  return found;
}

const BLOCKS = every(document, ".block");
const ZOOMS = [1, 2, 4, 8, 16];

/**
 * Outlines a layer in all pictures, and says below one of them what it is.
 * @param {ParentNode} picture
 * @param {string | undefined} layer
 * @param {string} text
 */
function tell(picture, layer, text) {
  for (const block of BLOCKS) block.classList.toggle("same", block.dataset.layer === layer);
  only(picture, ".told", HTMLElement).textContent = text;
}

/**
 * @param {HTMLElement} picture
 */
function setUpPlot(picture) {
  const plot = only(picture, ".plot", HTMLElement);
  const stops = every(plot, ".block[tabindex]");
  if (stops.length) stops[0].tabIndex = 0;
  plot.addEventListener("pointerover", (event) => {
    const place = event.target instanceof Element ? event.target.closest(".block, .unused") : null;
    if (place instanceof HTMLElement) tell(picture, place.dataset.layer ?? "", place.title);
  });
  plot.addEventListener("focusin", (event) => {
    if (!(event.target instanceof HTMLElement)) return;
    for (const stop of stops) stop.tabIndex = stop === event.target ? 0 : -1;
    tell(picture, event.target.dataset.layer, event.target.title);
  });
  plot.addEventListener("keydown", (event) => {
    const place = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const steps = {
      ArrowRight: place + 1,
      ArrowDown: place + 1,
      ArrowLeft: place - 1,
      ArrowUp: place - 1,
      Home: 0,
      End: stops.length - 1,
    };
    const next = steps[event.key];
    if (next === undefined || !stops.length) return;
    event.preventDefault();
    stops[Math.max(0, Math.min(next, stops.length - 1))].focus();
  });
}

/**
 * @param {HTMLElement} picture
 */
function setUpZoom(picture) {
  const buttons = every(picture, "[data-zoom]");
  let place = 0;
  const set = () => {
    picture.style.setProperty("--zoom", `${ZOOMS[place]}`);
    only(picture, ".zoom output", HTMLElement).textContent = `${ZOOMS[place]} x`;
    for (const button of buttons) {
      const end = Number(button.dataset.zoom) > 0 ? ZOOMS.length - 1 : 0;
      button.setAttribute("aria-disabled", `${place === end}`);
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      place = Math.max(0, Math.min(place + Number(button.dataset.zoom), ZOOMS.length - 1));
      set();
    });
  }
  set();
}

/**
 * Dims the blocks that a text is not found in.
 * @param {HTMLElement} picture
 */
function setUpSearch(picture) {
  const field = picture.querySelector("input[type=search]");
  if (!(field instanceof HTMLInputElement)) return;
  const blocks = every(picture, ".block");
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    const hits = blocks.filter((block) => block.title.toLowerCase().includes(wanted));
    for (const block of blocks) block.classList.toggle("dimmed", !hits.includes(block));
    const named = new Set(hits.map((block) => block.title)).size;
    only(picture, ".hits", HTMLElement).textContent = wanted ? `${named} found` : "";
    if (wanted && hits.length) tell(picture, hits[0].dataset.layer, hits[0].title);
  });
}

/**
 * @param {HTMLElement} picture
 */
function setUpFree(picture) {
  const box = picture.querySelector(".show-free");
  if (!(box instanceof HTMLInputElement)) return;
  const show = () => {
    for (const place of every(picture, ".unused")) place.hidden = !box.checked;
  };
  box.addEventListener("change", show);
  show();
}

for (const picture of every(document, ".picture")) {
  setUpPlot(picture);
  setUpZoom(picture);
  setUpSearch(picture);
  setUpFree(picture);
}

for (const name of every(document, "[data-names]")) {
  name.addEventListener("pointerover", () => {
    const picture = name.closest(".names")?.previousElementSibling;
    const layer = name.dataset.names;
    if (!(picture instanceof HTMLElement) || !layer) return;
    const block = every(picture, ".block").find((one) => one.dataset.layer === layer);
    tell(picture, layer, block ? block.title : `${(name.textContent ?? "").trim()}: no block of its own`);
  });
}

// On paper nothing can be opened.
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
