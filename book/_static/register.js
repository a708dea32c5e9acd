/* Filters the cards of the register and opens the one that a link names. Without this script all are shown. */
(() => {
  const form = document.getElementById("reading-filters");
  const count = document.getElementById("reading-count");
  const cards = [...document.querySelectorAll("details.reading")];
  if (!form || !cards.length) return;

  function show() {
    const { state, text } = Object.fromEntries(new FormData(form));
    const words = text.toLowerCase().split(/\s+/);
    for (const card of cards) {
      const said = card.textContent.toLowerCase();
      card.hidden = (state && card.dataset.state !== state) || !words.every((word) => said.includes(word));
    }
    count.textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length} open places`;
  }

  function open() {
    const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (card?.matches("details.reading")) {
      card.open = true;
      card.scrollIntoView();
    }
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", show);
  addEventListener("hashchange", open);
  form.hidden = false;
  show();
  open();
})();
