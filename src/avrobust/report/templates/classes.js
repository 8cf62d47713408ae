// Classes: drawn from counts when a run is chosen.
const NAMES = { clean: "clean", audio: "audio attacked", visual: "video attacked", audiovisual: "both attacked" };

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function square(run, condition) {
  const size = run.classes.length, matrix = Array.from({ length: size }, () => new Array(size).fill(0));
  const counts = run.counts[condition] || [];
  for (let i = 0; i < counts.length; i += 3) matrix[counts[i]][counts[i + 1]] = counts[i + 2];
  return matrix;
}

const SPACE = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;

const total = (row) => row.reduce((sum, count) => sum + count, 0);
const share = (matrix, i) => 100 * matrix[i][i] / (total(matrix[i]) || 1);

function drawMatrix(run, condition) {
  const size = run.classes.length, cell = Math.max(9, Math.min(26, 300 / size)), top = 6;
  const left = 12 + 5.4 * Math.min(15, Math.max(...run.classes.map((name) => name.length)));
  const svg = document.createElementNS(SPACE, "svg");
  const width = left + size * cell + 4, height = top + size * cell + 0.9 * left + 6;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "matrix");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Confusion, ${NAMES[condition]}`);
  const add = (tag, attributes, text) => {
    const made = svg.appendChild(document.createElementNS(SPACE, tag));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const short = (text) => (text.length > 15 ? `${text.slice(0, 14)}…` : text);
  square(run, condition).forEach((row, i) => {
    add("text", { x: left - 6, y: top + (i + 0.5) * cell + 3, "text-anchor": "end" }, short(run.classes[i]));
    const x = left + (i + 0.5) * cell + 3, y = top + size * cell + 8;
    add("text", { x, y, "text-anchor": "end", transform: `rotate(-60 ${x} ${y})` }, short(run.classes[i]));
    row.forEach((count, j) => {
      const part = count / (total(row) || 1);
      const box = add("rect", { x: left + j * cell, y: top + i * cell, width: cell - 1, height: cell - 1,
        class: i === j ? "right" : "wrong", style: `fill-opacity: ${part.toFixed(3)}` });
      const title = document.createElementNS(SPACE, "title");
      title.textContent = `${run.classes[i]} taken for ${run.classes[j]}: ${count} of ${total(row)}`;
      box.append(title);
    });
  });
  return svg;
}

function drawClasses(run, condition) {
  const shown = document.getElementById("classes-shown");
  shown.replaceChildren(...["clean", condition].map((one) => {
    const figure = element("figure");
    figure.append(drawMatrix(run, one), element("figcaption", NAMES[one]));
    return figure;
  }));
  const before = square(run, "clean"), after = square(run, condition);
  document.getElementById("classes-bars").replaceChildren(...run.classes.map((name, i) => {
    const row = element("tr");
    const bar = element("td", undefined, { class: "bar" });
    for (const [kind, matrix] of [["before", before], ["after", after]]) {
      bar.append(element("span", undefined, { class: kind, style: `width: ${share(matrix, i)}%` }));
    }
    const numbers = [before, after].map((m) => element("td", share(m, i).toFixed(0), { class: "num" }));
    row.append(element("td", name), element("td", total(before[i]), { class: "num" }), ...numbers, bar);
    return row;
  }));
  const heading = element("tr");
  for (const [text, kind] of [["class", ""], ["n", "num"], ["clean", "num"], [NAMES[condition], "num"], ["", "bar"]]) {
    heading.append(element("th", text, { class: kind }));
  }
  document.querySelector(".bars thead").replaceChildren(heading);
  document.getElementById("classes-link").href = `#run-${encodeURIComponent(run.run)}`;
}

const classesData = document.getElementById("classes-data");
if (classesData) {
  const runs = JSON.parse(classesData.textContent);
  const [which, after] = ["classes-run", "classes-condition"].map((id) => document.getElementById(id));
  which.append(...runs.map((run, i) => element("option", run.title, { value: i })));
  for (const name of Object.keys(NAMES).slice(1)) after.append(element("option", NAMES[name], { value: name }));
  after.value = "audiovisual";
  const draw = () => drawClasses(runs[which.value], after.value);
  which.addEventListener("change", draw);
  after.addEventListener("change", draw);
  draw();
}
