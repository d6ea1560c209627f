"use strict";
// Sorts a table of class `sortable` by the column whose head is clicked, first the way that its
// `data-first` says, then the other. Cells sort by their `data-value`, numbers as numbers; those
// without a value stand last in either direction.
(() => {
  const value = (row, place) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
  const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.dataset.first ?? "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const direction = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", direction);
        const rows = [...table.tBodies[0].rows];
        const sign = direction === "ascending" ? 1 : -1;
        rows.sort((one, two) => {
          const [a, b] = [value(one, place), value(two, place)];
          return (a === "") - (b === "") || sign * compare(a, b);
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
