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
const reveal = () => {
  const row = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row) row.open = true;
};
addEventListener("hashchange", reveal);
reveal();
