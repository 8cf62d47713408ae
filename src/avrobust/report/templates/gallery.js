// Gallery: media are filled in when a card comes into view, and the cards filtered.
const mediaData = document.getElementById("media");
if (mediaData) {
  const media = JSON.parse(mediaData.textContent);
  const cards = all(".card"), tools = document.getElementById("gallery-tools");
  const fill = (card) => all("[data-media]", card).forEach((item) => {
    item.src = media[item.dataset.media];
    item.removeAttribute("data-media");
  });
  const seen = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((entry) => {
    fill(entry.target);
    seen.unobserve(entry.target);
  }), { rootMargin: "600px" });
  cards.forEach((card) => seen.observe(card));

  const choices = all("select", tools), input = tools.querySelector("input"), shown = tools.querySelector(".shown");
  const update = () => {
    filter(cards, input.value, shown);
    for (const card of cards) {
      card.hidden ||= choices.some(({ value, dataset }) => value && card.dataset[dataset.filter] !== value);
    }
    shown.textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length}`;
  };
  [...choices, input].forEach((item) => item.addEventListener("input", update));
  addEventListener("play", ({ target }) => all("audio").forEach((other) => other !== target && other.pause()), true);
  update();
}
