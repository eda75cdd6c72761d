// ---- the card over a citation: its quote, its place, how it bears on the sentence. Of the mouse, the keys, a finger.
let over = null;          // the chip that it lies over
let cardSoon = 0, shownAt = 0;
let pointer = "mouse";    // what touched the page last
const card = () => $("#tip");
function showCard(chip) {
  clearTimeout(cardSoon);
  if (over === chip || !chip.dataset.tip) return;
  hideCard();
  over = chip;
  shownAt = performance.now();
  chip.setAttribute("aria-describedby", "tip");
  const it = card();
  $(".inner", it).innerHTML = chip.dataset.tip;
  it.classList.toggle("touched", pointer === "touch");
  it.hidden = false;
  const at = chip.getBoundingClientRect(), own = it.getBoundingClientRect(), most = document.documentElement.clientWidth;
  it.style.left = `${Math.max(8, Math.min(at.left + at.width / 2 - own.width / 2, most - own.width - 8))}px`;
  it.style.top = `${at.top - own.height - 8 >= 8 ? at.top - own.height - 8 : at.bottom + 8}px`;
}
function hideCard() {
  clearTimeout(cardSoon);
  over?.removeAttribute("aria-describedby");
  over = null;
  if (card()) card().hidden = true;
}
const cardIn = (ms, act) => { clearTimeout(cardSoon); cardSoon = setTimeout(act, ms); };
document.addEventListener("pointerdown", (event) => { pointer = event.pointerType; }, true);
document.addEventListener("pointerover", (event) => {
  if (event.pointerType === "touch") return;
  const chip = event.target.closest?.(".cite[data-tip]");
  if (chip) cardIn(120, () => { if (chip.isConnected) showCard(chip); });
  else if (event.target.closest?.("#tip")) clearTimeout(cardSoon);   // it may be read, and its text taken
  else if (over) cardIn(250, hideCard); else clearTimeout(cardSoon);
});
document.addEventListener("focusin", (event) => {
  const chip = event.target.closest?.(".cite[data-tip]");
  if (chip?.matches(":focus-visible")) showCard(chip);
});
document.addEventListener("focusout", (event) => { if (event.target === over && pointer !== "touch") hideCard(); });
// A scroll takes the card away, but for the one that brought its chip into sight.
document.addEventListener("scroll", (event) => { if (over && event.target.contains?.(over) && performance.now() - shownAt > 200) hideCard(); }, { capture: true, passive: true });
// A finger has no hover: the first touch of a chip shows the card, the second, or one on the card, opens the source.
const onlyShows = (place, byKey) => !byKey && pointer === "touch" && place.dataset.tip && over !== place && (showCard(place), true);

// ---- arrows walk through the citations of an answer while no source is open
function walk(by) {
  const at = document.activeElement?.closest?.("[data-quote]");
  const turn = at?.closest(".turn") ?? $$("#turns .turn, #live:not(.gone) .turn").filter((one) => !one.hidden && $(".cite, .card", one)).pop();
  if (!turn) return false;
  const places = $$(".cite, .card", turn).filter((one) => one.dataset.quote && one.checkVisibility?.() !== false);
  const now = places.indexOf(at);
  const next = places[now < 0 ? (by > 0 ? 0 : places.length - 1) : (now + by + places.length) % places.length];
  if (!next) return false;
  pointer = "keys";
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  showCard(next);
  return true;
}

// ---- the finished answer is said once to whoever listens; while it is written, nothing is
function tellAnswer() {
  const turn = $("#live:not(.gone) .turn.done, #live:not(.gone) .turn.stopped");
  if (!turn || turn.dataset.said || turn.hidden) return;
  turn.dataset.said = "1";
  const text = $(".words", turn)?.cloneNode(true);
  for (const chips of $$(".chips, footer", text ?? turn.cloneNode())) chips.remove();
  $("#told").textContent = [$(".outcome", turn), text, $(".verdicts", turn)].map((part) => part?.textContent.trim()).filter(Boolean).join(". ");
}
