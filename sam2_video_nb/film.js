// The still face of a film: where scripts run, a slider and a play button take the place of the GIF.

/** `id`: of an element with a GIF, and with a sheet of all pictures below each other. */
export function showSlides(id) {
  const root = document.getElementById(id)
  if (!root || root.dataset.on) return
  root.dataset.on = 1
  const { n, w, h, fps } = root.dataset
  const names = JSON.parse(root.dataset.names)
  const view = document.createElement('div')
  const row = document.createElement('div')
  const play = document.createElement('button')
  const range = document.createElement('input')
  const label = document.createElement('span')
  const sheet = root.querySelector('img.sheet').src
  let timer = 0

  view.setAttribute('role', 'img')
  view.style.cssText = `width:100%;max-width:${w}px;aspect-ratio:${w}/${h};`
    + `background:url(${sheet}) 0 0/100% auto no-repeat`
  row.style.cssText = `display:flex;gap:6px;align-items:center;max-width:${w}px`
  play.textContent = '\u25b6'
  play.title = 'play or stop'
  play.style.cursor = 'pointer'
  Object.assign(range, { type: 'range', min: 0, max: n - 1, value: 0 })
  range.style.flex = '1'
  range.setAttribute('aria-label', 'frame')
  label.style.cssText = 'font:12px sans-serif;min-width:6em'

  function show() {
    view.style.backgroundPosition = `0 ${n > 1 ? range.value / (n - 1) * 100 : 0}%`
    view.setAttribute('aria-label', names[range.value])
    label.textContent = names[range.value]
  }

  function next() {
    range.value = (+range.value + 1) % n
    show()
  }

  range.oninput = show
  play.onclick = () => {
    clearInterval(timer)
    timer = timer ? 0 : setInterval(next, 1000 / fps)
    play.textContent = timer ? '\u25a0' : '\u25b6'
  }
  row.append(play, range, label)
  root.querySelector('img.gif').remove()
  root.prepend(view, row)
  show()
}
