// The work for a place in a waiting room: finds a number for which SHA-256 of `<challenge>:<number>` begins with zero bits.
// Browsers have SHA-256 only on secure pages, and one promise for each try is too slow; so it is here (FIPS 180-4).
"use strict";

(() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const bits = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32) | 0;
  const first = primes.slice(0, 8).map((prime) => bits(Math.sqrt(prime)));
  const rounds = primes.map((prime) => bits(Math.cbrt(prime)));
  const turn = (word, by) => (word >>> by) | (word << (32 - by));

  // The first word of the digest of a text of ASCII characters, at most 55 of them: one block.
  const firstWord = (text) => {
    const w = new Int32Array(64);
    for (let i = 0; i < text.length; i++) w[i >> 2] |= text.charCodeAt(i) << (24 - (i & 3) * 8);
    w[text.length >> 2] |= 0x80 << (24 - (text.length & 3) * 8);
    w[15] = text.length * 8;
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15], b = w[i - 2];
      const s0 = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3), s1 = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = first;
    for (let i = 0; i < 64; i++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25), choice = (e & f) ^ (~e & g);
      const t1 = (h + s1 + choice + rounds[i] + w[i]) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22), majority = (a & b) ^ (a & c) ^ (b & c);
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + s0 + majority) | 0];
    }
    return (first[0] + a) | 0;
  };

  const rest = () => new Promise((resolve) => setTimeout(resolve));
  const solve = async (challenge, difficulty) => {
    for (let number = 0; ; number++) {
      if (Math.clz32(firstWord(`${challenge}:${number}`)) >= difficulty) return number;
      if (number % 2048 === 2047) await rest();
    }
  };

  addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("form[data-challenge]");
    if (!form) return;
    const button = form.querySelector("button");
    // The work begins with the page, so that whoever reads for a moment waits no more.
    const solved = solve(form.dataset.challenge, Number(form.dataset.difficulty));
    button.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (form.elements.nonce.value) return;
      event.preventDefault();
      button.disabled = true;
      button.textContent = form.dataset.working;
      form.elements.nonce.value = String(await solved);
      form.submit();
    });
  });
})();
