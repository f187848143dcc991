const box = document.getElementById("filter");
if (box) {
  box.parentElement.hidden = false;
  box.addEventListener("input", () => {
    const wanted = box.value.toLowerCase();
    for (const row of document.querySelectorAll(".check")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}
const boxes = document.querySelectorAll("input[name=severity]");
for (const box of boxes) {
  box.closest("fieldset").hidden = false;
  box.addEventListener("change", () => {
    for (const row of document.querySelectorAll(`.finding[data-severity="${box.value}"]`)) {
      row.hidden = !box.checked;
    }
  });
}
const reveal = () => {
  const row = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row) row.open = true;
};
addEventListener("hashchange", reveal);
reveal();
