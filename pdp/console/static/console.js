// Pages work without this. With it, a search replaces its own part of the page, and `/` goes to the search field.

const policy = window.trustedTypes?.createPolicy("sekisho", { createHTML: (text) => text });
const parse = (text) => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");

// The server escapes every text; what is parsed here is a page of ours, and only its named part is taken.
async function load(url, into, push) {
  const place = document.getElementById(into);
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" }, credentials: "same-origin", redirect: "error" });
    const fresh = parse(await answer.text()).getElementById(into);
    if (!fresh) throw new Error("another page came");
    place.replaceWith(fresh);
    if (push) history.pushState({ into }, "", url);
    fresh.querySelector("h2")?.scrollIntoView({ block: "nearest" });
  } catch {
    window.location.assign(url); // a login that has ended, a network that is gone: the whole page says it
  }
}

// What is under way is looked at every two seconds; when it is over, the page says what came of it.
async function watch() {
  const place = document.querySelector("[data-poll]");
  if (!place || document.hidden) return;
  try {
    const answer = await fetch(window.location.href, { credentials: "same-origin", redirect: "error" });
    const fresh = parse(await answer.text()).querySelector(`#${place.id}[data-poll]`);
    if (fresh) place.replaceWith(fresh);
    else window.location.reload();
  } catch {} // a network that is gone for a moment: the next look tells
}
if (document.querySelector("[data-poll]")) setInterval(watch, 2000);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "get" || !form.dataset.into || event.defaultPrevented) return;
  event.preventDefault();
  const pairs = [...new FormData(form)].filter(([, value]) => value !== "");
  load(`${form.getAttribute("action")}?${new URLSearchParams(pairs)}`, form.dataset.into, true);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-into]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  load(link.href, link.dataset.into, true);
});

window.addEventListener("popstate", () => window.location.reload());

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.getElementById("find");
  if (field) {
    event.preventDefault();
    field.focus();
  }
});
