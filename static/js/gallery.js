/* The pictures of a product: thumbnails, buttons and arrow keys move the row, which a finger moves by itself. Without
   scripts the thumbnails lead to the pictures and the row scrolls. */
(() => {
  "use strict";

  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  const start = (box) => {
    const row = box.querySelector(".gallery");
    const pictures = [...row.children];
    const thumbs = [...box.querySelectorAll(".thumbs a")];
    const [back, on] = box.querySelectorAll("[data-step]");
    const count = box.querySelector(".gallery-count");
    let now = 0;

    const tell = () => {
      thumbs.forEach((one, place) => (place === now ? one.setAttribute("aria-current", "true") : one.removeAttribute("aria-current")));
      back.disabled = now === 0;
      on.disabled = now === pictures.length - 1;
      count.textContent = `${now + 1} / ${pictures.length}`;
    };
    const go = (place) => {
      now = Math.min(Math.max(place, 0), pictures.length - 1);
      row.scrollTo({ left: pictures[now].offsetLeft - row.offsetLeft, behavior: calm.matches ? "auto" : "smooth" });
      tell();
    };

    thumbs.forEach((one, place) =>
      one.addEventListener("click", (event) => {
        event.preventDefault();
        go(place);
      }),
    );
    back.addEventListener("click", () => go(now - 1));
    on.addEventListener("click", () => go(now + 1));
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: pictures.length - 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      go(step);
      if (document.activeElement.closest(".thumbs")) thumbs[now].focus({ preventScroll: true });
    });
    // A finger, a wheel or the bar of the row: what came to rest is the one that is shown.
    row.addEventListener("onscrollend" in window ? "scrollend" : "scroll", () => {
      now = Math.round(row.scrollLeft / row.clientWidth);
      tell();
    });
    box.querySelector(".gallery-steps").hidden = false;
    const asked = pictures.findIndex((one) => `#${one.id}` === window.location.hash);
    if (asked > 0) go(asked);
    else tell();
  };

  for (const box of document.querySelectorAll("[data-gallery]")) start(box);
})();
