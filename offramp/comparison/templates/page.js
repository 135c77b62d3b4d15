// One block of a picture is in the order of Tab; arrow keys, Home and End move between them. What a block is stands
// below its picture; blocks of the same layer are outlined everywhere. Pointing at a layer's name finds its block.
"use strict";
const all = Array.from(document.querySelectorAll(".block"));

function tell(picture, layer, text) {
  for (const one of all) one.classList.toggle("same", one.dataset.layer === layer);
  picture.querySelector(".told").textContent = text;
}

function show(block) {
  tell(block.closest(".picture"), block.dataset.layer, block.title);
}

for (const name of document.querySelectorAll("[data-names]")) {
  name.addEventListener("pointerover", () => {
    const picture = name.closest(".names").previousElementSibling;
    const layer = name.dataset.names;
    const block = picture.querySelector(`[data-layer="${layer}"]`);
    tell(picture, layer, block ? block.title : `${name.textContent.trim()}: no block of its own`);
  });
}

for (const plot of document.querySelectorAll(".plot")) {
  const stops = Array.from(plot.querySelectorAll(".block[tabindex]"));
  if (stops.length) stops[0].tabIndex = 0;
  plot.addEventListener("pointerover", (event) => {
    const block = event.target.closest(".block");
    if (block) show(block);
  });
  plot.addEventListener("focusin", (event) => {
    for (const one of stops) one.tabIndex = one === event.target ? 0 : -1;
    show(event.target);
  });
  plot.addEventListener("keydown", (event) => {
    const place = stops.indexOf(document.activeElement);
    const next = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1,
                   Home: 0, End: stops.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    stops[Math.max(0, Math.min(next, stops.length - 1))].focus();
  });
}
