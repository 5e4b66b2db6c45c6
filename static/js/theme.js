// Switches the theme in place; without this file the same form posts and the page reloads.
"use strict";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-theme-switch]") || !event.submitter) return;
  event.preventDefault();
  const theme = event.submitter.value;
  const body = new FormData(form);
  body.set("theme", theme);
  const root = document.documentElement;
  const before = root.dataset.theme;
  root.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("themechange"));
  try {
    const answer = await fetch(form.action, { method: "POST", body });
    if (!answer.ok) throw new Error(`The theme was not saved: ${answer.status}`);
  } catch (error) {
    root.dataset.theme = before;
    document.dispatchEvent(new CustomEvent("themechange"));
    console.error(error);
  }
  form.querySelector(theme === "dark" ? ".theme-to-light" : ".theme-to-dark").focus();
});
