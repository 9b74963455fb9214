"use strict";
// One tooltip for everything that has `data-tip`, and for the dot of the map that is nearest to the pointer.
const tip = document.getElementById("tip");

function show(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  const above = y - tip.offsetHeight - 14;
  tip.style.left = `${Math.max(8, Math.min(x - tip.offsetWidth / 2, room))}px`;
  tip.style.top = `${above < 8 ? y + 20 : above}px`;
}

function hide() {
  tip.hidden = true;
}

for (const element of document.querySelectorAll("[data-tip]")) {
  const point = () => {
    const box = element.getBoundingClientRect();
    show(element.dataset.tip, box.x + box.width / 2, box.y + box.height / 2);
  };
  element.addEventListener("pointerenter", point);
  element.addEventListener("focus", point);
  element.addEventListener("pointerleave", hide);
  element.addEventListener("blur", hide);
}
addEventListener("scroll", hide, { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && hide());

const points = JSON.parse(document.getElementById("points").textContent); // [x, y, name, genres]
const map = document.querySelector(".map svg");
const here = map.querySelector(".here");
const REACH = 20; // pixels

function nearest(event) {
  const box = map.getBoundingClientRect();
  const scale = map.viewBox.baseVal.width / box.width;
  const x = (event.clientX - box.x) * scale;
  const y = (event.clientY - box.y) * scale;
  let best = null;
  let least = (REACH * scale) ** 2;
  for (const point of points) {
    const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
    if (distance < least) [best, least] = [point, distance];
  }
  return best && { point: best, x: box.x + best[0] / scale, y: box.y + best[1] / scale };
}

function leave() {
  here.setAttribute("d", "");
  hide();
}

function hover(event) {
  const hit = nearest(event);
  if (!hit) return leave();
  const [x, y, name, genres] = hit.point;
  here.setAttribute("d", `M${x} ${y}h0`);
  show(genres ? `${name}\n${genres}` : name, hit.x, hit.y);
}

map.addEventListener("pointermove", hover);
map.addEventListener("pointerdown", hover);
map.addEventListener("pointerleave", leave);

// A genre alone; pressed again, all of them.
const buttons = [...document.querySelectorAll(".genres button")];
for (const button of buttons) {
  button.addEventListener("click", () => {
    const alone = button.getAttribute("aria-pressed") === "false";
    for (const other of buttons) other.setAttribute("aria-pressed", String(alone && other === button));
    for (const dots of map.querySelectorAll(".dots"))
      dots.classList.toggle("faint", alone && !dots.classList.contains(button.dataset.group));
  });
}

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const names = points.map((point) => plain(point[2]));
const search = document.querySelector(".map input");
search.addEventListener("input", () => {
  const wanted = plain(search.value.trim());
  const found = wanted ? points.filter((_, place) => names[place].includes(wanted)) : [];
  map.querySelector(".found").setAttribute("d", found.map(([x, y]) => `M${x} ${y}h0`).join(""));
  const shown = found.slice(0, 5).map((point) => point[2]).join(" · ");
  const more = found.length > 5 ? ` and ${found.length - 5} more` : "";
  document.querySelector(".map .result").textContent = wanted ? (shown || "No such item") + more : "";
});
