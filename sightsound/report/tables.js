// Tables that can be sorted by a column and filtered by name, and the rows of the error browser by class and fault.
"use strict";
(() => {
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent.replaceAll(",", "").trim();
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      const sorted = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)], [p, q] = [parseFloat(x), parseFloat(y)];
        const order = isNaN(p) || isNaN(q) ? isNaN(p) - isNaN(q) || x.localeCompare(y, undefined, { numeric: true }) : p - q;
        return up ? order : -order;
      });
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...sorted);
    };
  });
}
for (const box of document.querySelectorAll("input[data-filter]")) box.oninput = () => {
  const wanted = box.value.toLowerCase();
  for (const row of document.getElementById(box.dataset.filter).tBodies[0].rows)
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
};
for (const form of document.querySelectorAll("form.browse")) {
  const rows = [...document.querySelectorAll("[data-true]")], told = form.querySelector("output");
  form.oninput = () => {
    const { label, predicted, fault } = form.elements;
    let shown = 0;
    for (const row of rows) {
      const ok = (label.value === "" || row.dataset.true === label.value) &&
        (predicted.value === "" || row.dataset.said === predicted.value) &&
        (fault.value === "" || row.dataset.fault.split(" ").includes(fault.value));
      row.hidden = !ok;
      shown += ok;
    }
    told.textContent = `${shown} of ${rows.length}`;
  };
  form.oninput();
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
})();
