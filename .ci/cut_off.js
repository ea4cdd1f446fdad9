// What is wider than its box, without a bar to scroll by
() => {
  const boxes = [...document.querySelectorAll('pre, div.cell-output-display, main table, .wide')]
  const isCut = e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && e.offsetHeight - e.clientHeight < 6
  const widths = e => `${e.scrollWidth} px in ${e.clientWidth}`
  return boxes.filter(isCut).map(e => `${e.tagName} ${e.className}, ${widths(e)}: ${e.textContent.trim().slice(0, 40)}`)
}
