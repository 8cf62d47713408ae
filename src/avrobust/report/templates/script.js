"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Tables: a tbody holds our line with the paper's below it, and is sorted and filtered as one.
function sortTable(table, column, heading) {
  const down = heading.getAttribute("aria-sort") === "ascending";
  all("th", table).forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (body) => body.rows[0].cells[column].textContent.trim();
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)], [p, q] = [parseFloat(x), parseFloat(y)];
    if (Number.isNaN(p) !== Number.isNaN(q)) return Number.isNaN(p) ? 1 : -1;
    return (Number.isNaN(p) ? x.localeCompare(y) : p - q) * (down ? -1 : 1);
  };
  table.append(...[...table.tBodies].sort(order));
}

function filter(items, text, shown) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const item of items) {
    const content = item.textContent.toLowerCase();
    item.hidden = !words.every((word) => content.includes(word));
    count += !item.hidden;
  }
  shown.textContent = words.length ? `${count} of ${items.length}` : "";
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const name = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = name; }, 1200);
}

for (const article of all("article.table")) {
  const table = article.querySelector("table");
  all("th", table).forEach((th, column) => {
    th.firstElementChild.addEventListener("click", () => sortTable(table, column, th));
  });
  const input = article.querySelector("input"), shown = article.querySelector(".shown");
  input.addEventListener("input", () => filter([...table.tBodies], input.value, shown));
  for (const button of all(".copy button", article)) {
    button.addEventListener("click", () => copy(button.nextElementSibling.value, button));
  }
}

// Classes: one run is shown at a time.
const classesRun = document.getElementById("classes-run");
if (classesRun) {
  classesRun.addEventListener("input", () => {
    all(".classes-run").forEach((run, i) => { run.hidden = i !== Number(classesRun.value); });
  });
}

// Runs: a link to a run opens it.
const findRun = document.getElementById("find-run");
findRun.addEventListener("input", () => filter(all(".run"), findRun.value, findRun.nextElementSibling));
for (const button of all(".copy-line")) {
  button.addEventListener("click", () => copy(button.previousElementSibling.textContent, button));
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target || !target.matches("details")) return;
  target.hidden = false;
  target.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
openTarget();
