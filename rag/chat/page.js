// What the page does by itself: open a source at its quote, follow the answer, keys, theme, copy.
// All text that arrives here was escaped by the server; nothing is made into HTML in this file.
(() => {
  "use strict";
  const $ = (query, under = document) => under.querySelector(query);
  const frame = () => $("#frame");
  const stored = (key, value) => {
    try { return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value); } catch { return null; }
  };

  // ---- theme: the system's, until the user chooses
  const setDark = (dark) => document.body.classList.toggle("dark", dark);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const applyTheme = () => setDark(stored("rag-theme") ? stored("rag-theme") === "dark" : system.matches);
  system.addEventListener("change", applyTheme);
  const toggleTheme = () => {
    stored("rag-theme", document.body.classList.contains("dark") ? "light" : "dark");
    applyTheme();
  };

  // ---- the source panel
  let opened = null;   // the chip or card that led here
  let asked = 0;       // a later click wins over an earlier, slower one
  const placesOf = (from) => {
    const seen = new Map();
    for (const place of from.closest(".turn, #panel, body").querySelectorAll("[data-quote]"))
      if (!seen.has(place.dataset.n)) seen.set(place.dataset.n, place);
    return [...seen.values()].sort((a, b) => a.dataset.n - b.dataset.n);
  };
  async function openSource(place, focus) {
    const began = performance.now(), mine = ++asked, panel = $("#panel");
    const { source, quote, answer } = place.dataset;
    const url = `page/source/${encodeURIComponent(source)}?quote=${quote}&answer=${answer || ""}`;
    let html;
    try {
      const reply = await fetch(url);
      html = await reply.text();
    } catch { html = '<p class="error" role="alert">The server does not answer. Is it still running?</p>'; }
    if (mine !== asked) return;
    opened = place;
    for (const here of document.querySelectorAll(".here")) here.classList.remove("here");
    const places = placesOf(place), at = places.findIndex((other) => other.dataset.n === place.dataset.n);
    for (const same of place.closest(".turn")?.querySelectorAll(`[data-n="${place.dataset.n}"]`) ?? []) same.classList.add("here");
    $(".count", panel).textContent = `Source ${at + 1} of ${places.length}`;
    for (const step of panel.querySelectorAll("[data-step]")) step.disabled = places.length < 2;
    $(".body", panel).innerHTML = html;
    panel.inert = false;
    frame().classList.add("reading");
    const mark = $("mark.key", panel) ?? $("mark", panel);
    mark?.scrollIntoView({ block: "center" });
    if (focus) $("h2", panel)?.focus({ preventScroll: true });
    panel.dataset.ms = (performance.now() - began).toFixed(1);
  }
  function step(by) {
    if (!opened) return;
    const places = placesOf(opened), at = places.findIndex((other) => other.dataset.n === opened.dataset.n);
    openSource(places[(at + by + places.length) % places.length], true);
  }
  function closeSource() {
    frame().classList.remove("reading");
    $("#panel").inert = true;
    for (const here of document.querySelectorAll(".here")) here.classList.remove("here");
    opened?.focus({ preventScroll: true });
    opened = null;
  }
  const reading = () => frame()?.classList.contains("reading");

  // ---- asking
  const box = () => $("#box textarea");
  const running = () => $("#live .turn.running");
  function write(text, area = box()) {
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  function fill(text) {
    write(text);
    setTimeout(() => $("#send").click(), 60);   // the frame reads the input in its own time
  }
  const folded = new WeakMap();   // what lies in a closed drawer of a settled turn: most of its elements
  // The finished turn moves out of the part that is drawn again with every word: long talks stay quick.
  function settle() {
    const live = $("#live .turn.done, #live .turn.stopped");
    if (live) {
      const kept = live.cloneNode(true), drawer = $(".how:not([open])", kept);
      if (drawer) {
        folded.set(drawer, [...drawer.children].slice(1));
        for (const part of folded.get(drawer)) part.remove();
      }
      $("#turns").append(kept);
      live.hidden = true;
    }
    follow = true;
  }
  function forget() { $("#turns").replaceChildren(); if (reading()) closeSource(); }
  const pick = (value, field, button) => {
    write(value, $(`#${field} textarea, #${field} input`));
    setTimeout(() => $(`#${button}`).click(), 60);
  };

  // ---- which documents to look into: all but the unticked, kept by id because the list is drawn anew
  const unticked = new Set();
  const tick = () => {
    const boxes = [...document.querySelectorAll("[data-tick]")];
    for (const one of boxes) one.checked = !unticked.has(one.dataset.tick);
    const chosen = boxes.filter((one) => one.checked).length;
    box().placeholder = !boxes.length || chosen === boxes.length ? "Ask your documents" : `Ask ${chosen} of ${boxes.length} documents`;
  };
  const passedOver = () => [...unticked].join(" ");
  window.rag = { settle, forget, passedOver };

  // ---- the conversation as a file
  function save() {
    const turns = [...document.querySelectorAll("#turns .turn, #live .turn:not([hidden])")].map((turn) =>
      `## ${$(".again", turn).dataset.text}\n\n*${$(".outcome", turn)?.textContent ?? ""}*\n\n${$(".copy", turn)?.dataset.text ?? $(".words", turn)?.textContent ?? ""}\n`);
    if (!turns.length) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([turns.join("\n")], { type: "text/markdown" }));
    link.download = `conversation-${new Date().toISOString().slice(0, 10)}.md`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // ---- following the answer, unless the reader scrolled away
  let follow = true;
  const watch = () => {
    const scroll = $("#scroll");
    scroll.addEventListener("scroll", () => { follow = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120; }, { passive: true });
    new MutationObserver(() => {
      frame().classList.toggle("busy", Boolean(running()));   // a class, not :has(): that would look through every turn
      if (!follow) return;
      const turn = $("#live .turn");
      // a long answer is read from its question down, not from its end up
      if (turn && turn.offsetHeight > scroll.clientHeight) turn.scrollIntoView({ block: "start" });
      else scroll.scrollTop = scroll.scrollHeight;
    }).observe($("#live"), { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["class"] });
  };

  async function copy(button) {
    try { await navigator.clipboard.writeText(button.dataset.text); button.textContent = "Copied"; }
    catch { button.textContent = "Not allowed to copy"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  document.addEventListener("click", (event) => {
    const hit = (query) => event.target.closest?.(query);
    const place = hit("[data-quote]");
    if (place) return openSource(place, event.detail === 0);   // detail 0: by key
    const does = hit("[data-do]")?.dataset.do;
    if (does === "close") closeSource();
    else if (does === "theme") toggleTheme();
    else if (does === "new") $("#new").click();
    else if (does === "save") save();
    else if (does === "shelf") {
      const open = frame().classList.toggle("shelf");
      hit("[data-do]").setAttribute("aria-expanded", open);
    } else if (hit("[data-step]")) step(Number(hit("[data-step]").dataset.step));
    else if (hit(".copy")) copy(hit(".copy"));
    else if (hit(".again")) { write(hit(".again").dataset.text); box().focus(); }
    else if (hit(".example")) fill(hit(".example").textContent);
    else if (hit(".remove")) {
      const button = hit(".remove");
      if (button.dataset.sure) pick(button.dataset.id, "removing", "remove");
      else { button.dataset.sure = 1; button.textContent = "Really?"; setTimeout(() => { delete button.dataset.sure; button.textContent = "Remove"; }, 3000); }
    }
  });

  document.addEventListener("change", (event) => {
    const id = event.target.dataset?.tick;
    if (id === undefined) return;
    if (event.target.checked) unticked.delete(id); else unticked.add(id);
    tick();
  });

  document.addEventListener("toggle", (event) => {   // a drawer opened below the edge comes into sight
    if (event.target.open && event.target.matches(".how")) {
      event.target.append(...(folded.get(event.target) ?? []));
      folded.delete(event.target);
      follow = false;
      event.target.scrollIntoView({ block: "start" });
    }
  }, true);

  document.addEventListener("keydown", (event) => {
    const typing = event.target === box();
    if (event.key === "Enter" && typing && (event.isComposing || (!event.shiftKey && (running() || !box().value.trim())))) {
      event.stopPropagation();
      if (!event.isComposing) event.preventDefault();
    } else if (event.key === "Escape") {
      if (running()) $("#stop").click();
      else if (reading()) closeSource();
    } else if (reading() && !event.target.matches?.("textarea, input") && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      event.preventDefault();
      step(event.key === "ArrowRight" ? 1 : -1);
    }
  }, true);

  const ready = new MutationObserver(() => {
    if (!$("#live") || !$("#panel") || !box()) return;
    ready.disconnect();
    applyTheme();
    watch();
    new MutationObserver(tick).observe($("#shelf"), { childList: true, subtree: true, attributes: true, attributeFilter: ["data-tick"] });
    box().setAttribute("aria-label", "Your question");
    if (matchMedia("(min-width: 760px)").matches) box().focus();
    document.body.dataset.ready = "1";
  });
  ready.observe(document, { childList: true, subtree: true });
})();
