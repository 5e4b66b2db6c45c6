// Draws the API's document with Redoc, from our own files alone.
"use strict";

(() => {
  const place = document.getElementById("redoc");

  // Redoc shows its maker's logo from a foreign host, and has no option against that.
  const own = (address) => (new URL(address, location.href).origin === location.origin ? address : place.dataset.logo);
  const { setAttribute } = Element.prototype;
  HTMLImageElement.prototype.setAttribute = function (name, value) {
    setAttribute.call(this, name, name === "src" ? own(value) : value);
  };
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  Object.defineProperty(HTMLImageElement.prototype, "src", { get, set(value) { set.call(this, own(value)); } });

  const dark = {
    colors: {
      primary: { main: "#86b7ee" },
      error: { main: "#f28b82" },
      text: { primary: "#e6ebf0", secondary: "#9dabb8" },
      border: { dark: "#2a3540", light: "#2a3540" },
      gray: { 50: "#1d262f", 100: "#1d262f" },
      http: { get: "#6fcf97", post: "#86b7ee", put: "#c9a6f5", patch: "#f2b56b", delete: "#f28b82" },
      responses: {
        success: { color: "#6fcf97", backgroundColor: "#17301f", tabTextColor: "#6fcf97" },
        error: { color: "#f28b82", backgroundColor: "#3a1d1d", tabTextColor: "#f28b82" },
        redirect: { color: "#f2c96b", backgroundColor: "#332a16", tabTextColor: "#f2c96b" },
        info: { color: "#86b7ee", backgroundColor: "#1a2f46", tabTextColor: "#86b7ee" },
      },
    },
    schema: { nestedBackground: "#1d262f", linesColor: "#6f7e8c", typeNameColor: "#9dabb8", typeTitleColor: "#9dabb8" },
    sidebar: { backgroundColor: "#11171d", textColor: "#e6ebf0", activeTextColor: "#86b7ee" },
    rightPanel: { backgroundColor: "#0d1217" },
    typography: { code: { color: "#f28b82", backgroundColor: "#1d262f" } },
  };
  const system = "system-ui, sans-serif";
  const fonts = { fontFamily: system, headings: { fontFamily: system } };
  const isDark = document.documentElement.classList.contains("dark-mode");
  const theme = isDark ? { ...dark, typography: { ...dark.typography, ...fonts } } : { typography: fonts };

  // Its search runs in a worker made of text, which the site's policy for scripts forbids.
  window.Redoc.init(place.dataset.document, { disableSearch: true, theme }, place);
})();
