// "/" moves to the search box; Escape leaves it.
"use strict";

document.addEventListener("keydown", (event) => {
  const box = document.getElementById("site-search");
  if (!box) return;
  if (event.key === "Escape" && document.activeElement === box) {
    box.blur();
    return;
  }
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  box.focus();
  box.select();
});
