/* Before anything is drawn: light or dark, as was chosen here, else as the system says. */
(() => {
  const chosen = localStorage.getItem("tunegate-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
