// ---- asking, and what can be done with an answer
let talk = "";            // the conversation that is open; "" for one that has not begun
let instead = null;       // the turn that the next question replaces
let replacing = null;     // the same, while its answer is on its way
let only = {};            // settings for the next question alone

function fill(text) {
  write(text);
  setTimeout(() => $("#send").click(), 60);   // the frame reads the input in its own time
}
// The finished turn moves out of the part that is drawn again with every word: long talks stay quick.
function settle() {
  const live = $("#live:not(.gone) .turn.done, #live:not(.gone) .turn.stopped");
  if (live && !live.hidden) {
    $("#turns").append(live.cloneNode(true));
    live.hidden = true;
  }
  for (const left of $$("#live.gone .turn")) left.hidden = true;   // of another conversation: it must not flash up
  $("#live").classList.remove("gone");
  follow = true;
}
// Called by Gradio before a question leaves: what goes along with it.
function asking() {
  if (!box().value.trim()) return "{}";
  settle();
  $("#empty").replaceChildren();
  const wish = { conversation: talk, instead_of: instead, without: [...unticked], where: narrowed, settings: { ...chosen(), ...only } };
  replacing = instead;
  only = {};
  stopEditing();
  return JSON.stringify(wish);
}
window.rag = { asking };

// A turn that was kept has a place: 'conversation/turn'.
function arrived() {
  const kept = $("#live:not(.gone) .turn.done[data-place]");
  if (!kept || kept.dataset.seen) return;
  kept.dataset.seen = "1";
  const [id] = kept.dataset.place.split("/");
  if (replacing !== null) $(`#turns .turn[data-place="${talk}/${replacing}"]`)?.classList.add("replaced");
  replacing = null;
  setTalk(id);
  listTalks();
}
function setTalk(id) {
  talk = id;
  history.replaceState(null, "", id ? `#talk=${id}` : location.pathname + location.search);
  for (const row of $$("#talk-list li")) row.classList.toggle("current", row.dataset.id === id);
}
function forget() {
  if (running()) $("#stop").click();
  $("#live").classList.add("gone");
  frame().classList.remove("busy");
  $("#turns").replaceChildren();
  $("#empty").replaceChildren();
  $("#told").replaceChildren();
  stopEditing();
  if (reading()) closeSource();
}
async function newTalk() {
  forget();
  setTalk("");
  if (narrow()) openShelf("");
  box().focus();
  await reloadShelf();
}
function showTalk(parts) {
  forget();
  $("#turns").innerHTML = parts.html;
  setTalk(parts.id);
  document.title = words("tab", { title: parts.title });
  follow = true;
  down();
}
async function openTalk(id) {
  const parts = await get(`page/talk/${encodeURIComponent(id)}`).catch(() => null);
  if (!parts) return listTalks();
  showTalk(parts);
  if (narrow()) openShelf("");
}

// ---- an earlier question in other words, or asked in another way
function edit(button) {
  const place = button.closest(".turn").dataset.place;
  write(button.dataset.text);
  instead = place ? Number(place.split("/")[1]) : null;
  $("#editing").hidden = instead === null;
  box().focus();
}
function stopEditing() { instead = null; $("#editing").hidden = true; }
function retry(button) {
  const turn = button.closest(".turn"), [key, value] = button.dataset.howElse.split(/=(.*)/s);
  closeMenus();
  edit($(".again", turn));
  only = { [key]: value };
  setTimeout(() => $("#send").click(), 60);
}

// Other models that are installed, offered when the menu is opened.
let writers = [];
document.addEventListener("toggle", (event) => {
  const drop = event.target.open && $(".retry", event.target)?.parentElement;
  if (!drop || $("[data-model]", drop)) return;
  for (const name of writers) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "plain retry", textContent: words("worded_by", { model: name }), dir: "auto" });
    Object.assign(button.dataset, { howElse: `llm.model=${name}`, model: name });
    drop.append(button);
  }
}, true);

// ---- right or wrong, with a note
let rated = Promise.resolve();   // a note must not overtake its thumb
async function rate(button) {
  const turn = button.closest(".turn"), form = $(".note-form", turn), was = $(".rate[aria-pressed=true]", turn);
  const now = button === was ? null : button;
  press(turn, now);   // at once: one types on
  form.hidden = !now;
  if (now) { form.scrollIntoView({ block: "nearest" }); $(".note-text", form).focus({ preventScroll: true }); }
  if (await keepRating(turn, now && now.dataset.good === "1", now ? $(".note-text", turn).value : "")) return;
  press(turn, was);
  form.hidden = false;   // it says why
}
const press = (turn, on) => { for (const one of $$(".rate", turn)) one.setAttribute("aria-pressed", one === on); };
async function keepNote(input) {
  const turn = input.closest(".turn"), pressed = $(".rate[aria-pressed=true]", turn);
  const kept = pressed && (await keepRating(turn, pressed.dataset.good === "1", input.value));
  if (kept) input.setAttribute("value", input.value);
  $("[role=status]", input.parentElement).textContent = kept ? words("kept") : "";
}
async function keepRating(turn, good, note) {
  const reply = await (rated = rated.then(() => send("PUT", `page/turn/${turn.dataset.place}/rating`, { good, note })).catch(() => null));
  if (!reply?.ok) $(".note-form [role=status]", turn).textContent = words("not_kept");
  return Boolean(reply?.ok);
}

async function copy(button) {
  try { await navigator.clipboard.writeText(button.dataset.text); button.textContent = words("copied"); }
  catch { button.textContent = words("no_copy"); }
  setTimeout(() => { button.textContent = words("copy"); }, 1500);
}

// ---- the drawer is filled when it is opened, and comes into sight
document.addEventListener("toggle", async (event) => {
  const drawer = event.target;
  if (!drawer.open || !drawer.matches?.(".how")) return;
  follow = false;
  if (drawer.dataset.how && drawer.children.length === 1) {
    const reply = await fetch(`page/turn/${drawer.dataset.how}/how`).catch(() => null);
    if (drawer.children.length === 1) drawer.insertAdjacentHTML("beforeend", reply ? await reply.text() : SILENT);
  }
  showPart(drawer);
}, true);
function showPart(drawer) {
  ($(`[data-part="${drawer.dataset.at}"]`, drawer) ?? drawer).scrollIntoView({ block: "start" });
  delete drawer.dataset.at;
}
function openDrawer(turn, part) {
  const drawer = $(".how", turn);
  drawer.dataset.at = part;
  if (drawer.open) showPart(drawer); else drawer.open = true;
}
