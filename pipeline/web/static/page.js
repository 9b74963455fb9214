"use strict";
// Titles are foreign text: they enter the page through textContent alone.

const $ = (id) => document.getElementById(id);
const state = { variants: [], user: null, history: [], excluded: [] };
let latest = 0; // number of the newest request for recommendations; answers to older ones are dropped

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function button(text, label, action) {
  const made = element("button", text);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
}

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) {
    const { what, where, remedy } = answer.error;
    throw new Error([where ? `${where}: ${what}` : what, remedy].filter(Boolean).join("\n"));
  }
  return answer;
}

function show(problem) {
  $("problem").hidden = !problem;
  $("problem").textContent = problem ? problem.message : "";
}

async function attempt(action) {
  try {
    show(null); // before the action: one within it may show its own problem
    await action();
  } catch (problem) {
    show(problem);
  }
}

function add(item) {
  state.user = null;
  state.history.push(item);
  $("query").value = "";
  $("matches").replaceChildren();
  drawHistory();
  recommend();
}

function drawHistory() {
  const rows = state.history.map((item, place) => {
    const row = element("li", item.title);
    const remove = () => {
      state.user = null;
      state.history.splice(place, 1);
      drawHistory();
      recommend();
    };
    row.append(button("similar", `Similar to ${item.title}`, () => similar(item)));
    row.append(button("×", `Remove ${item.title}`, remove));
    return row;
  });
  $("history").replaceChildren(...rows);
}

function drawExcluded() {
  const names = state.excluded.map((item) =>
    button(`${item.title} ×`, `Allow ${item.title} again`, () => {
      state.excluded = state.excluded.filter((other) => other !== item);
      drawExcluded();
      recommend();
    }),
  );
  $("excluded").replaceChildren(...(names.length ? names : ["nothing"]));
}

function reasons(why) {
  const parts = Object.entries(why.parts).map(([name, part]) => `${name} ${Math.round(100 * part)}%`);
  return [parts.join(" · "), ...why.evidence.map((found) => found.because)].join("; ");
}

function drawVariant(variant, answer) {
  const column = element("div");
  column.id = `variant-${variant}`;
  column.append(element("h3", variant));
  const list = element("ol", undefined, "list");
  for (const item of answer.recommended) {
    const row = element("li", item.title);
    row.dataset.id = item.item_id;
    row.append(element("span", `${(100 * item.probability).toFixed(1)}%`, "number"));
    row.append(button("take", `Add ${item.title} to the history`, () => add(item)));
    row.append(button("similar", `Similar to ${item.title}`, () => similar(item)));
    const exclude = () => {
      state.excluded.push(item);
      drawExcluded();
      recommend();
    };
    row.append(button("not this", `Leave out ${item.title}`, exclude));
    if (item.why) row.append(element("span", reasons(item.why), "why"));
    list.append(row);
  }
  column.append(answer.recommended.length ? list : element("p", "No item is left under these rules."));
  return column;
}

async function recommend() {
  const number = ++latest;
  const asked = {
    k: Number($("k").value) || 10,
    where: $("where").value.trim() || null,
    diversity: Number($("diversity").value),
    exclude: state.excluded.map((item) => item.item_id),
    exclude_seen: $("seen").checked ? false : null,
  };
  if (state.user === null) asked.history = state.history.map((item) => item.item_id);
  else asked.user = state.user;
  $("variants").classList.add("busy");
  await attempt(async () => {
    const columns = [];
    for (const variant of state.variants)
      columns.push(drawVariant(variant, await ask("recommend", { ...asked, variant, why: variant === "rag" })));
    if (number === latest) $("variants").replaceChildren(...columns);
  });
  if (number === latest) $("variants").classList.remove("busy");
}

function similar(item) {
  return attempt(async () => {
    const answer = await ask(`similar?${new URLSearchParams({ item: item.item_id, k: 10 })}`);
    $("similar-of").textContent = answer.item.title + (answer.similar.length ? "" : ": no similar text");
    const rows = answer.similar.map((other) => {
      const row = element("li", other.title);
      row.append(element("span", other.similarity.toFixed(3), "number"));
      row.append(button("take", `Add ${other.title} to the history`, () => add(other)));
      return row;
    });
    $("similar").replaceChildren(...rows);
  });
}

function afterPause(action) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, 200);
  };
}

async function match() {
  const query = $("query").value.trim();
  if (!query) return $("matches").replaceChildren();
  await attempt(async () => {
    const answer = await ask(`items?${new URLSearchParams({ query, k: 8 })}`);
    if (query !== $("query").value.trim()) return;
    const rows = answer.items.map((item) => {
      const row = element("li");
      row.append(button(item.title, `Add ${item.title}`, () => add(item)));
      return row;
    });
    $("matches").replaceChildren(...(rows.length ? rows : [element("li", "no item has such a title")]));
  });
}

$("query").addEventListener("input", afterPause(match));
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  $("matches").querySelector("button")?.click();
});
$("load-user").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const found = await ask(`users/${encodeURIComponent($("user").value.trim())}`);
    Object.assign(state, found);
    drawHistory();
    await recommend();
  });
});
$("clear").addEventListener("click", () => {
  Object.assign(state, { user: null, history: [], excluded: [] });
  drawHistory();
  drawExcluded();
  recommend();
});
$("rules").addEventListener("submit", (event) => event.preventDefault());
$("rules").addEventListener(
  "input",
  afterPause(() => {
    $("diversity-value").textContent = $("diversity").value;
    recommend();
  }),
);

attempt(async () => {
  const health = await ask("health");
  state.variants = health.variants;
  $("about").textContent = `${health.items.toLocaleString("en")} items, ${health.users.toLocaleString("en")} users`;
  await recommend();
});
