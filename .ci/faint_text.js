// Texts below `root` with less than 4.5:1 against what lies behind them, as WCAG counts
root => {
  const numbers = s => [...s.match(/[\d.]+/g).map(Number), 1].slice(0, 4)
  const over = (c, under) => [0, 1, 2].map(i => c[i] * c[3] + under[i] * (1 - c[3]))
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4
  const light = c => c.map(v => linear(v / 255)).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0)
  const ground = e => e ? over(numbers(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255]
  const opacity = e => e ? getComputedStyle(e).opacity * opacity(e.parentElement) : 1
  const hasText = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
  const isSeen = e => e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  const found = {}
  for (const e of document.querySelectorAll(`${root} *`)) {
    if (e.closest(':disabled, [aria-disabled=true]') || !hasText(e) || !isSeen(e)) continue
    const behind = ground(e)
    const ink = numbers(getComputedStyle(e).color)
    ink[3] *= opacity(e)
    const [low, high] = [light(over(ink, behind)), light(behind)].sort((a, b) => a - b)
    const ratio = (high + .05) / (low + .05)
    if (ratio >= 4.5) continue
    const kind = `${e.tagName} ${e.className} ${getComputedStyle(e).color} on ${behind.map(Math.round)}`
    found[kind] = `${ratio.toFixed(2)}:1 "${e.textContent.trim().slice(0, 40)}"`
  }
  return Object.entries(found).map(o => o.join(' '))
}
