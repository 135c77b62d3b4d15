// One block of a picture is in the order of Tab; arrow keys, Home and End move between them. What a block is stands
// below its picture; blocks of the same layer are outlined everywhere.
"use strict";
const all = Array.from(document.querySelectorAll(".block"));

function show(block) {
  for (const one of all) one.classList.toggle("same", one.dataset.layer === block.dataset.layer);
  block.closest(".picture").querySelector(".told").textContent = block.title;
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
