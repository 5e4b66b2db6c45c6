// In the admin's form of a periodic task: says in words what the chosen crontab means.
"use strict";

const crontab = document.getElementById("id_crontab");
const readable = JSON.parse(document.getElementById("readable-crontabs").textContent);
const words = document.createElement("div");
document.querySelector(".field-crontab .help")?.append(words);
document.querySelector(".field-crontab_translation")?.setAttribute("hidden", "");
crontab?.addEventListener("change", () => {
  words.textContent = readable[crontab.value] ?? "";
});
