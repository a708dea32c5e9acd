// The theme's arrows in the contents have no name of their own: say what each opens.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll(".bd-sidenav summary")) {
    const entry = arrow.closest("li")?.querySelector("a");
    arrow.setAttribute("aria-label", `Pages below ${entry ? entry.textContent.trim() : "this one"}`);
  }
  // Sphinx calls the bibliography a list, whose entries it then gives links as children: no list, to a screen reader.
  document.querySelectorAll(".citation-list[role=list]").forEach((list) => list.removeAttribute("role"));
});
