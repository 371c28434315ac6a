// Passkeys: asks the server for the options of a ceremony, the device for its answer, and sends that back.
"use strict";

(() => {
  const post = async (path, body) => {
    const response = await fetch(path, {
      method: "POST", credentials: "same-origin", headers: { "content-type": "application/json" }, body,
    });
    if (!response.ok) throw new Error(String(response.status));
    return response.json();
  };

  const run = (button, ceremony) => {
    const trouble = document.querySelector("[data-passkey-trouble]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      trouble.hidden = true;
      button.disabled = true;
      try {
        location.assign((await ceremony()).next);
      } catch {
        trouble.hidden = false;
        button.disabled = false;
      }
    });
  };

  const signIn = async () => {
    const form = document.querySelector("form");
    const email = form.elements.email.value, next = form.elements.next.value;
    const options = await post("/console/sign-in/passkey", JSON.stringify({ email, next }));
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
    const credential = await navigator.credentials.get({ publicKey });
    return post("/console/sign-in/passkey/answer", JSON.stringify(credential.toJSON()));
  };

  const register = async () => {
    const label = document.querySelector("[data-passkey-label]").value;
    const options = await post("/console/account/passkeys", JSON.stringify({ label }));
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey);
    const credential = await navigator.credentials.create({ publicKey });
    return post("/console/account/passkeys/answer", JSON.stringify(credential.toJSON()));
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) return;
    for (const button of document.querySelectorAll("[data-passkey-sign-in]")) run(button, signIn);
    for (const button of document.querySelectorAll("[data-passkey-register]")) run(button, register);
  });
})();
