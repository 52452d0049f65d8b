/* What pages do with scripts on top of what they do without: asking first, dismissing, copying, printing, unfolding.
   Everything listens on the document, so that parts htmx brings later work as well. */
(() => {
  "use strict";

  const reveal = (root) => {
    for (const one of root.querySelectorAll("[data-copy], [data-print], [data-dismiss], [data-close]")) one.hidden = false;
  };

  const openDialog = (details) => {
    const box = details.querySelector(".confirm-box");
    const dialog = document.createElement("dialog");
    dialog.className = "dialog";
    dialog.setAttribute("aria-label", box.querySelector(".confirm-title").textContent);
    dialog.append(box);
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      details.append(box);
      dialog.remove();
      details.querySelector("summary").focus();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    dialog.showModal();
  };

  // A menu near the right edge opens to the left. Its list is as wide as the style sheet says, 13rem.
  const turn = (menu) => {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const { left, right } = menu.getBoundingClientRect();
    const wide = 14 * rem;
    menu.classList.toggle("menu-end", left + wide > document.documentElement.clientWidth && right > wide);
  };

  const copy = async (button) => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "✓";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling || button);
      window.getSelection().removeAllRanges();
      window.getSelection().addRange(range);
    }
    setTimeout(() => (button.textContent = before), 1500);
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("summary, [data-dismiss], [data-copy], [data-print], [data-close], [data-confirm]");
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    if (!target) return;
    if (target.matches(".nav-more > summary")) turn(target.parentElement);
    if (target.matches("[data-ask] > summary") && window.HTMLDialogElement) {
      event.preventDefault();
      openDialog(target.parentElement);
    } else if (target.matches("[data-dismiss]")) target.closest("[data-toast]").remove();
    else if (target.matches("[data-copy]")) copy(target);
    else if (target.matches("[data-print]")) window.print();
    else if (target.matches("[data-close]")) {
      const dialog = target.closest("dialog");
      if (dialog) dialog.close();
      else target.closest("details").open = false;
    } else if (target.matches("button[data-confirm], a[data-confirm]") && !window.confirm(target.dataset.confirm)) {
      event.preventDefault();
    }
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // Facets lie open on desks and folded on phones.
  const wide = window.matchMedia("(min-width: 62rem)");
  const unfold = () => {
    for (const one of document.querySelectorAll("details[data-unfold]")) one.open = wide.matches;
  };
  wide.addEventListener("change", unfold);

  // A refused confirmation comes back open: show it as the dialog it was.
  const start = () => {
    reveal(document);
    unfold();
    const summary = document.querySelector("[data-focus]:not(.sample *)");
    for (const details of document.querySelectorAll("[data-ask][open]")) {
      details.open = false;
      openDialog(details);
    }
    if (summary) summary.focus();
  };

  document.addEventListener("htmx:load", (event) => reveal(event.detail.elt));
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, target } = event.detail;
    if (!(elt.getAttribute("hx-trigger") || "").startsWith("every")) target.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", (event) => event.detail.target.removeAttribute("aria-busy"));
  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.querySelector('meta[name="csrf-token"]');
    if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token.content;
  });
  start();
})();
