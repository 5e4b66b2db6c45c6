// Passkeys: forms that stay hidden where the browser has none. Server and browser speak through webauthnJSON.
"use strict";

function explain(form, error) {
  const problem = form.querySelector("[data-passkey-problem]");
  const given = error.name === "NotAllowedError";
  problem.textContent = given ? "No passkey was chosen, or it took too long." : "That did not work with this passkey.";
  problem.hidden = false;
}

async function creation(form, options) {
  const alone = form.querySelector("[name=passwordless]").checked;
  const selection = options.publicKey.authenticatorSelection ?? (options.publicKey.authenticatorSelection = {});
  selection.residentKey = alone ? "required" : "discouraged";
  selection.requireResidentKey = alone;
  if (alone) selection.userVerification = "required";
  return window.webauthnJSON.create(options);
}

async function signIn(form) {
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return window.webauthnJSON.get((await answer.json()).request_options);
}

async function credential(form) {
  const kind = form.dataset.passkey;
  if (kind === "sign-in") return signIn(form);
  const data = JSON.parse(document.getElementById("passkey-options").textContent);
  return kind === "create" ? creation(form, data.creation_options) : window.webauthnJSON.get(data.request_options);
}

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("[data-passkey]")) {
    form.hidden = false;
    form.querySelector("button").addEventListener("click", async () => {
      try {
        form.querySelector("[name=credential]").value = JSON.stringify(await credential(form));
        form.submit();
      } catch (error) {
        explain(form, error);
      }
    });
  }
}
