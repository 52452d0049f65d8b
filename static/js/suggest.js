/* The search box suggests while somebody types: a combobox with a list, by keyboard, mouse or touch.
   Without scripts, or when the answer is late or missing, it stays a plain search. */
(() => {
  "use strict";

  const WAIT_MS = 160;

  const enhance = (form) => {
    const input = form.querySelector("input[type=search]");
    const box = form.querySelector(".suggestions");
    if (!input || !box) return;
    let timer = 0;
    let asked = null;
    let typed = input.value;

    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-haspopup", "listbox");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("autocomplete", "off");

    const options = () => [...box.querySelectorAll("[role=option]")];
    const current = () => box.querySelector("[aria-selected=true]");

    const select = (option) => {
      for (const one of options()) one.setAttribute("aria-selected", String(one === option));
      if (option) {
        input.setAttribute("aria-activedescendant", option.id);
        option.scrollIntoView({ block: "nearest" });
      } else input.removeAttribute("aria-activedescendant");
      input.value = option ? option.dataset.words : typed;
    };

    const close = () => {
      clearTimeout(timer);
      if (asked) asked.abort();
      asked = null;
      box.hidden = true;
      box.replaceChildren();
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-controls");
      input.removeAttribute("aria-activedescendant");
    };

    const show = (html) => {
      box.innerHTML = html;
      const list = box.querySelector("[role=listbox]");
      if (!list) return close();
      box.hidden = false;
      input.setAttribute("aria-expanded", "true");
      input.setAttribute("aria-controls", list.id);
      return undefined;
    };

    const ask = async () => {
      const words = typed.trim();
      if (!words) return close();
      if (asked) asked.abort();
      asked = new AbortController();
      try {
        const answer = await fetch(`${form.dataset.suggest}?${new URLSearchParams({ q: words })}`, { signal: asked.signal });
        if (answer.ok && document.activeElement === input) show(await answer.text());
      } catch {
        // Another letter was typed, or the network failed: the plain search is still there.
      }
      return undefined;
    };

    input.addEventListener("input", (event) => {
      typed = input.value;
      clearTimeout(timer);
      if (!event.isComposing) timer = setTimeout(ask, WAIT_MS);
    });
    input.addEventListener("compositionend", () => {
      typed = input.value;
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT_MS);
    });

    input.addEventListener("keydown", (event) => {
      if (event.isComposing || box.hidden) return;
      const all = options();
      const place = all.indexOf(current());
      if (event.key === "ArrowDown") select(all[place + 1] || null);
      else if (event.key === "ArrowUp") select(place < 0 ? all.at(-1) : all[place - 1] || null);
      else if (event.key === "Escape") {
        input.value = typed;
        close();
      } else if (event.key === "Enter" && current()) window.location.assign(current().dataset.url);
      else return;
      event.preventDefault();
    });

    // Pressing keeps the focus in the field, so that the list is still there when the finger lifts.
    box.addEventListener("pointerdown", (event) => event.preventDefault());
    box.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) window.location.assign(option.dataset.url);
    });
    input.addEventListener("blur", close);
    form.addEventListener("submit", close);
  };

  for (const form of document.querySelectorAll("form[data-suggest]")) enhance(form);
})();
