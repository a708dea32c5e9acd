// The theme's arrows in the contents have no name of their own: say what each opens.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll(".bd-sidenav summary")) {
    const entry = arrow.closest("li")?.querySelector("a");
    arrow.setAttribute("aria-label", `Pages below ${entry ? entry.textContent.trim() : "this one"}`);
  }
  // One line "show code" for each section: the cells after its first open and close with that one.
  for (const section of document.querySelectorAll("article section")) {
    const [first, ...others] = section.querySelectorAll(":scope > .cell > details.hide");
    others.forEach((cell) => cell.classList.add("follows"));
    first?.addEventListener("toggle", () => others.forEach((cell) => { cell.open = first.open; }));
  }
  // Sphinx calls the bibliography a list, whose entries it then gives links as children: no list, to a screen reader.
  document.querySelectorAll(".citation-list[role=list]").forEach((list) => list.removeAttribute("role"));
});
// Paper is white: a page that is dark on the screen is printed in the light colours.
let shownTheme = "";
addEventListener("beforeprint", () => {
  shownTheme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => { document.documentElement.dataset.theme = shownTheme; });
