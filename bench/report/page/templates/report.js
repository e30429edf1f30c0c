"use strict";
(() => {
  const table = document.querySelector("table.rows");
  const form = document.querySelector("form.filters");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const status = form.querySelector("output");

  const key = (row, place) => {
    const cell = row.cells[place];
    return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent;
  };
  // A cell without a value stands last, whichever way the column is sorted.
  const compare = (place, way) => (one, other) => {
    const [a, b] = [key(one, place), key(other, place)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return way * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  };
  const sort = (heading, place) => {
    const way = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    body.append(...rows.slice().sort(compare(place, way)));
  };
  const filter = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const chosen = Array.from(form.querySelectorAll("select")).every((select) => {
        const place = Array.from(table.tHead.rows[0].cells).findIndex((c) => c.textContent === select.name);
        return !select.value || row.cells[place].textContent === select.value;
      });
      row.hidden = !(chosen && words.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${rows.length} rows`;
  };

  Array.from(table.tHead.rows[0].cells).forEach((heading, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sort(heading, place));
    heading.replaceChildren(button);
  });
  // One situation at a time; without this script, and on paper, all are shown.
  const situations = document.querySelector("form.situations");
  if (situations) {
    const answers = Array.from(document.querySelectorAll("article.answer"));
    const pick = () => {
      const chosen = Number(situations.elements.situation.value);
      answers.forEach((each, place) => (each.hidden = place !== chosen));
    };
    situations.addEventListener("input", pick);
    situations.hidden = false;
    document.getElementById("decision").classList.add("picked");
    pick();
  }
  // Paper cannot be asked to open anything.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.hidden = false;
  filter();
})();
