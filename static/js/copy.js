// Gives each block of code a button that copies it; without this file the code is selected by hand.
"use strict";

const SAID_MS = 2000;

async function copy(code) {
  if (navigator.clipboard) return navigator.clipboard.writeText(code.textContent);
  // Without HTTPS a browser has no clipboard interface: select the code and let the old command take it.
  const selection = window.getSelection();
  selection.selectAllChildren(code);
  if (!document.execCommand("copy")) throw new Error("The browser did not copy the selection.");
  selection.removeAllRanges();
}

for (const snippet of document.querySelectorAll(".snippet")) {
  const code = snippet.querySelector("code");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-small";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${snippet.querySelector("pre").getAttribute("aria-label")}`);
  const said = document.createElement("span");
  said.className = "visually-hidden";
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    try {
      await copy(code);
      button.textContent = said.textContent = "Copied";
    } catch (error) {
      window.getSelection().selectAllChildren(code);
      button.textContent = said.textContent = "Selected: press Ctrl+C";
      console.warn(error);
    }
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, SAID_MS);
  });
  snippet.append(button, said);
}
