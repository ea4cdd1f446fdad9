// The timeline: a row an object, and curves under them.

const rowHeight = 11
const rowsMost = 40
const doneHeight = 5
const curveHeight = 70
const curveHead = 14                    // room for the curves' names
const curveColours = ['#0072B2', '#D55E00', '#009E73', '#CC79A7']
const doneColour = '#009E73'
const unknownColour = '#999'

/** A row: full where the object is visible, a frame where it is absent, a dash where nobody looked. */
function paintRow(g, states, y, wide, colour) {
  for (let i = 0; i < states.length; i++) {
    const x = i * wide
    g.fillStyle = g.strokeStyle = colour
    if (states[i] === '#') {
      g.fillRect(x, y + 1, Math.max(wide - .5, .5), rowHeight - 2)
    } else if (states[i] === '.') {
      g.strokeRect(x + .5, y + 2.5, Math.max(wide - 1.5, .5), rowHeight - 5)
    } else {
      g.fillStyle = unknownColour
      g.fillRect(x + .2 * wide, y + rowHeight / 2, .6 * wide, 1)
    }
  }
}

/** A curve's name beside a piece of its line; in the text's colour, since the line's is too faint for words. */
function paintCurveName(g, name, k, y, ink) {
  g.font = '12px sans-serif'
  g.fillStyle = ink
  g.fillText(name, 18 + k * 130, y - 3)
  g.fillStyle = curveColours[k % curveColours.length]
  g.fillRect(4 + k * 130, y - 8, 10, 3)
}

/** Values from 0 to 1 as a line, with gaps where there are none; points too where frames are few. */
function paintCurve(g, values, y, wide, colour) {
  g.fillStyle = g.strokeStyle = colour
  g.lineWidth = 1.6
  g.beginPath()
  let going = false
  values.forEach((value, i) => {
    if (value === null) {
      going = false
      return
    }
    const at = [(i + .5) * wide, y + (1 - value) * (curveHeight - 4) + 2]
    if (going) g.lineTo(...at)
    else g.moveTo(...at)
    going = true
    if (values.length < 40) g.fillRect(at[0] - 1.5, at[1] - 1.5, 3, 3)
  })
  g.stroke()
}

/** Draw it; `hidden` are the numbers of the objects that are switched off. */
export function paintTimeline(canvas, about, t, hidden) {
  const rows = about.states.slice(0, rowsMost)
  const curves = Object.entries(about.curves)
  const doneAt = rows.length * rowHeight
  const curvesAt = doneAt + (about.done ? doneHeight : 0) + curveHead
  const width = Math.max(200, canvas.parentElement.clientWidth)
  const height = curves.length ? curvesAt + curveHeight : curvesAt - curveHead
  canvas.width = width
  canvas.height = Math.max(height, 1)
  canvas.style.height = `${canvas.height}px`
  const g = canvas.getContext('2d')
  const wide = width / about.names.length         // of a frame
  const ink = getComputedStyle(canvas).color
  rows.forEach((states, n) => {
    g.globalAlpha = hidden.has(n) ? .3 : 1
    paintRow(g, states, n * rowHeight, wide, `rgb(${about.things[n].col})`)
  })
  g.globalAlpha = 1
  g.fillStyle = doneColour
  for (const i of about.done || []) g.fillRect(i * wide, doneAt + 1, Math.max(wide - .5, .5), 3)
  curves.forEach(([name, values], k) => {
    paintCurveName(g, name, k, curvesAt, ink)
    paintCurve(g, values, curvesAt, wide, curveColours[k % curveColours.length])
  })
  if (curves.length) {
    g.strokeStyle = '#aaa'
    g.lineWidth = .5
    g.strokeRect(.5, curvesAt + .5, width - 1, curveHeight - 1)
  }
  g.fillStyle = ink
  g.globalAlpha = .75
  g.fillRect((t + .5) * wide - 1, 0, 2, height)
}
