/* The quick entry by keyboard: Enter goes from the product to the quantity and on to the next row; the last row brings another. */
(() => {
  "use strict";

  const form = document.querySelector("form[data-entry]");
  if (!form) return;
  const list = form.querySelector(".entry-rows");
  const fields = () => [...list.querySelectorAll("input")];

  const addRow = () => {
    const rows = list.querySelectorAll(".entry-row");
    if (rows.length >= Number(form.dataset.most)) return null;
    const row = rows[0].cloneNode(true);
    const number = rows.length + 1;
    row.classList.remove("has-error");
    for (const extra of row.querySelectorAll(".entry-words, .error")) extra.remove();
    row.querySelector(".entry-number").textContent = number;
    row.querySelector(".entry-total").textContent = "";
    for (const input of row.querySelectorAll("input")) {
      const before = input.id.split("-")[0];
      input.value = "";
      input.id = `${before}-${number}`;
      input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+/, number));
      for (const name of ["aria-invalid", "aria-describedby", "autofocus"]) input.removeAttribute(name);
    }
    list.append(row);
    if (window.htmx) window.htmx.process(row);
    return row;
  };

  form.addEventListener("keydown", (event) => {
    const input = event.target;
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || !input.matches(".entry-row input")) return;
    event.preventDefault();
    const all = fields();
    const next = all[all.indexOf(input) + 1] || addRow()?.querySelector("input");
    if (next) {
      next.focus();
      next.select();
    }
  });

  form.querySelector("[data-more]").addEventListener("click", (event) => {
    event.preventDefault();
    const first = addRow();
    for (let more = 1; more < 10; more += 1) addRow();
    if (first) first.querySelector("input").focus();
  });
})();
