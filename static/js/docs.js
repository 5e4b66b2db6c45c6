// Gives Swagger UI and Redoc the site's theme before they draw.
"use strict";

(() => {
  const theme = document.documentElement.dataset.theme;
  const isDark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark-mode", isDark);
})();
