// The theme's arrows in the contents have no name of their own: say what each opens.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll(".bd-sidenav summary")) {
    const entry = arrow.closest("li")?.querySelector("a");
    arrow.setAttribute("aria-label", `Pages below ${entry ? entry.textContent.trim() : "this one"}`);
  }
});
