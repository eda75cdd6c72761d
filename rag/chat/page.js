// What the page does by itself. These files are one script: page.js begins it, then cards.js, source.js, shelves.js, files.js, turns.js.
// All text that becomes HTML here was escaped by the server; nothing else is made into HTML.
const $ = (query, under = document) => under?.querySelector(query);
const $$ = (query, under = document) => [...under.querySelectorAll(query)];
const frame = () => $("#frame");
const stored = (key, value) => {
  try { return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value); } catch { return null; }
};
const talkInAddress = () => new URLSearchParams(location.hash.slice(1)).get("talk") ?? "";
// What the page says: T is told by the server, in the language that is set. It holds nothing that would be HTML.
const words = (name, places = {}) => T[name].replace(/\{(\w+)\}/g, (_, place) => places[place] ?? "");
const SILENT = `<p class="error" role="alert">${words("silent")}</p>`;
const speak = (element) => { element.lang = T.language; element.dir = T.direction; };
speak(document.documentElement);
document.documentElement.style.setProperty("--asked-below", JSON.stringify(T.asked_below));

// ---- what the page begins with is asked for at once, while Gradio still loads
const get = (url) => fetch(url).then((reply) => (reply.ok ? reply.json() : Promise.reject(reply)));
const started = get(`page/start?talk=${encodeURIComponent(talkInAddress())}`).catch(() => ({ empty: SILENT }));
const send = (method, url, body) => fetch(url, {
  method, headers: { "content-type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body),
});

// ---- theme: the system's, until the user chooses
const system = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.body.classList.toggle("dark", stored("rag-theme") ? stored("rag-theme") === "dark" : system.matches);
system.addEventListener("change", applyTheme);

const box = () => $("#box textarea");
const running = () => $("#live:not(.gone) .turn.running");
const reading = () => frame()?.classList.contains("reading");
function write(text, area = box()) {
  area.value = text;
  area.dispatchEvent(new Event("input", { bubbles: true }));
}
function download(url) {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.click();
}

// ---- following the answer, unless the reader scrolled away
let follow = true;
const down = () => { $("#scroll").scrollTop = $("#scroll").scrollHeight; };
const watch = () => {
  const scroll = $("#scroll");
  scroll.addEventListener("scroll", () => { follow = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120; }, { passive: true });
  new MutationObserver(() => {
    frame().classList.toggle("busy", Boolean(running()));   // a class, not :has(): that would look through every turn
    if (over && !over.isConnected) hideCard();
    arrived();
    tellAnswer();
    if (!follow) return;
    const turn = $("#live .turn");
    // a long answer is read from its question down, not from its end up
    if (turn && turn.offsetHeight > scroll.clientHeight) turn.scrollIntoView({ block: "start" });
    else down();
  }).observe($("#live"), { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["class"] });
};

// ---- menus close when something else is touched
const closeMenus = (but = null) => { for (const menu of $$("details.menu[open]")) if (menu !== but) menu.open = false; };

document.addEventListener("keydown", (event) => {
  if ($("dialog[open]")) return;   // it has keys of its own
  const typing = event.target === box();
  const writing = event.target.matches?.("textarea, input, select");
  if (event.key === "Enter" && typing && (event.isComposing || (!event.shiftKey && (running() || !box().value.trim())))) {
    event.stopPropagation();
    if (!event.isComposing) event.preventDefault();
  } else if (event.key === "Enter" && event.target.id === "watch-path") {
    watchFolder(event.target.value, true);
  } else if (event.key === "Enter" && event.target.matches?.(".note-text")) {
    keepNote(event.target);
  } else if (event.key === "Escape") {
    const menu = $("details.menu[open]");
    if (over) hideCard();
    else if (menu) { menu.open = false; $("summary", menu).focus(); }
    else if (running()) $("#stop").click();
    else if (reading()) closeSource();
    else if (instead !== null) { write(""); stopEditing(); }
    else if (narrow() && frame().dataset.shelf) openShelf("");
  } else if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box().focus();
  } else if (event.key === "?" && (!writing || (typing && !box().value))) {
    event.preventDefault();
    $("#keys").showModal();
  } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && (!writing || (typing && !box().value))) {
    const by = event.key === "ArrowRight" ? 1 : -1;
    if (reading() && !typing ? (step(by), true) : !reading() && !event.target.closest?.("pre") && walk(by)) event.preventDefault();
  }
}, true);

document.addEventListener("click", (event) => {
  const hit = (query) => event.target.closest?.(query);
  if (!event.target.closest) return;
  closeMenus(hit("details.menu"));
  if (over && !hit("#tip, .cite")) hideCard();
  const place = hit("[data-quote]");
  const byKey = event.detail === 0;
  if (place) return onlyShows(place, byKey) || openSource(place, byKey);
  if (hit("#tip")) return over && openSource(over, false);
  const does = hit("[data-do]")?.dataset.do;
  if (does === "close") closeSource();
  else if (does === "new") newTalk();
  else if (does === "watch") watchFolder($("#watch-path").value, true);
  else if (does === "why") openDrawer(hit("button").closest(".turn"), "withheld");
  else if (does === "keys") $("#keys").showModal();
  else if (does === "close-keys") $("#keys").close();
  else if (does === "widen") widen();
  else if (hit("[data-set-does]")) actOnSet(hit("[data-set-does]"));
  else if (does === "cancel-edit") { write(""); stopEditing(); }
  else if (hit("button[data-shelf]")) openShelf(frame().dataset.shelf === hit("button").dataset.shelf ? "" : hit("button").dataset.shelf);
  else if (hit("[data-step]")) step(Number(hit("[data-step]").dataset.step));
  else if (hit("[data-leaf]")) showLeaf(hit("[data-leaf]"));
  else if (hit("[data-turn]")) turnLeaf(Number(hit("[data-turn]").dataset.turn));
  else if (hit("[data-original]")) saveOriginal(hit("[data-original]"));
  else if (hit(".copy")) copy(hit(".copy"));
  else if (hit(".again")) edit(hit(".again"));
  else if (hit(".retry")) retry(hit(".retry"));
  else if (hit(".rate")) rate(hit(".rate"));
  else if (hit(".keep-note")) keepNote($(".note-text", hit(".note-form")));
  else if (hit(".replaced .asked")) hit(".replaced").classList.toggle("shown");
  else if (hit(".example")) fill(hit(".example").textContent);
  else if (hit(".open-talk")) openTalk(hit("li").dataset.id);
  else if (hit("[data-talk]")) talkAct(hit("[data-talk]"));
  else if (hit(".remove")) removeBook(hit(".remove"));
});

const narrow = () => matchMedia("(max-width: 760px)").matches;
const ready = new MutationObserver(async () => {
  if (!$("#live") || !$("#panel") || !box() || !$("#shelf") || !$("#talk-list") || !$("#settings-panel")) return;
  ready.disconnect();
  speak(document.documentElement);   // Gradio has set its own meanwhile
  speak(frame());
  applyTheme();
  watch();
  watchShelves();
  box().setAttribute("aria-label", words("your_question"));
  if (!narrow()) { box().focus(); openShelf(stored("rag-shelf") ?? "", false); }
  document.body.dataset.ready = "1";
  begin(await started);
});
ready.observe(document, { childList: true, subtree: true });
