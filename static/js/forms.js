/* Forms with scripts: sent once, the chosen file named, a quantity changed by a press. */
(() => {
  "use strict";

  const buttonOf = (form, event) => event.submitter || form.querySelector("button[type=submit], button:not([type])");

  // The button is disabled after the browser has gathered the values, so that its own name and value are sent too.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-once]") || event.defaultPrevented) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "true";
    const button = buttonOf(form, event);
    if (!button) return;
    button.dataset.words = button.textContent;
    setTimeout(() => {
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      if (form.dataset.busy) button.textContent = form.dataset.busy;
    });
  });

  const release = (form) => {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[aria-busy]")) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
      button.textContent = button.dataset.words;
    }
  };

  // Back to a page kept in memory, and answers that htmx put in place: the form can be sent again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) for (const form of document.querySelectorAll("form[data-sent]")) release(form);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest("form[data-sent]");
    if (form) release(form);
  });

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.matches("input[type=file][data-file]")) return;
    let words = input.parentElement.querySelector(".file-name");
    if (!words) {
      words = document.createElement("p");
      words.className = "file-name";
      words.setAttribute("role", "status");
      input.after(words);
    }
    words.textContent = [...input.files].map((file) => `${file.name} · ${Math.ceil(file.size / 1024)} KB`).join(document.documentElement.lang === "en" ? ", " : "，");
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-quantity] [data-step]");
    if (!button) return;
    const input = button.closest("[data-quantity]").querySelector("input");
    const low = input.min === "" ? 0 : Number(input.min);
    const high = input.max === "" ? Infinity : Number(input.max);
    const next = Math.min(high, Math.max(low, (Number(input.value) || 0) + Number(button.dataset.step)));
    if (String(next) === input.value) return;
    input.value = next;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // A code that stands behind the # of the address, where a QR code put it. It goes to no server before it is sent.
  const given = decodeURIComponent(window.location.hash.slice(1));
  const wanting = document.querySelector("input[data-from-address]");
  if (wanting && !wanting.value && /^[0-9A-Za-z]{16}$/.test(given)) wanting.value = given;

  const reveal = (root) => {
    for (const one of root.querySelectorAll("[data-quantity] [data-step]")) one.hidden = false;
  };
  document.addEventListener("htmx:load", (event) => reveal(event.detail.elt));
  reveal(document);
})();
