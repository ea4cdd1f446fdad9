// The pointer: it names objects, enlarges, moves the picture, and clicks where the film is there to be annotated.

import { enlargeAt, enlargement, gap, keepInside, titleHeight } from './layout.js'
import { nameOf } from './lists.js'
import { layerBits } from './paint.js'

const dragFrom = 5                      // pixels of the screen from which on a click is a box

export class Pointer {
  constructor(view) {
    this.view = view
    this.pan = null                     // while the picture is moved: where it was
    this.drag = null                    // while something is clicked or framed: {from, minus, box}
    const { canvas, under } = view.parts
    canvas.addEventListener('wheel', e => this.wheel(e), { passive: false })
    canvas.onpointerdown = e => this.down(e)
    canvas.onpointermove = e => this.move(e)
    canvas.onpointerup = e => this.up(e)
    canvas.onpointerleave = () => {
      under.hidden = true
    }
    canvas.oncontextmenu = e => {       // here the right button is a click beside the object
      if (!view.about?.clickable) return
      e.preventDefault()
      e.stopPropagation()
    }
  }

  /** Where an event is on the stage, below the titles. */
  onStage(e) {
    const { canvas } = this.view.parts
    const { about } = this.view
    const box = canvas.getBoundingClientRect()
    const zoom = enlargement(about)
    const x = (e.clientX - box.left) * canvas.width / box.width / zoom
    const y = (e.clientY - box.top) * canvas.height / box.height / zoom
    return [x, y - titleHeight(about)]
  }

  /** The number of the pane at this place of the stage. */
  paneAt(x) {
    const { about } = this.view
    return Math.max(0, Math.min(Math.floor(x / (about.width + gap)), about.panes.length - 1))
  }

  /** Where an event is in its pane. */
  inPane(e) {
    const [x, y] = this.onStage(e)
    return [x - this.paneAt(x) * (this.view.about.width + gap), y]
  }

  /** The pixel of the film, enlarged or not. */
  inFilm(e) {
    const [x, y] = this.inPane(e)
    const { lens } = this.view
    return [lens.x + x / lens.scale, lens.y + y / lens.scale]
  }

  enlarge(factor, point) {
    const { view } = this
    enlargeAt(view.lens, factor, point, view.about)
    view.parts.root.dataset.zoom = view.lens.scale.toFixed(3)
    view.draw()
  }

  /** The page scrolls on, unless one works here. */
  wheel(e) {
    const { view } = this
    const { root, under } = view.parts
    if (!view.about || !(e.ctrlKey || e.metaKey || root.contains(document.activeElement))) return
    if (view.lens.scale === 1 && e.deltaY > 0) return
    e.preventDefault()
    under.hidden = true
    if (!e.shiftKey) {
      this.enlarge(Math.exp(-e.deltaY * .002), this.inPane(e))
      return
    }
    view.lens.x += (e.deltaX || e.deltaY) / view.lens.scale
    keepInside(view.lens, view.about)
    view.draw()
  }

  /** The objects at this place of the film, as its label maps tell. */
  namesAt(e) {
    const { about, store, hidden, t } = this.view
    const [x, y] = this.inFilm(e).map(Math.floor)
    const maps = store.bits.get(t)
    if (!maps || x < 0 || y < 0 || x >= about.width || y >= about.height) return []
    const pane = this.paneAt(this.onStage(e)[0])
    const isError = about.panes[pane] === 'error'
    const there = (_, n) => {
      const map = maps[pane * about.layers + Math.floor(n / layerBits)]
      const seen = isError || !hidden.has(n)
      return seen && map && map[y * about.width + x] >> n % layerBits & 1
    }
    return (isError ? about.error : about.things).filter(there).map(nameOf)
  }

  nameUnder(e) {
    const { pane, under } = this.view.parts
    const names = this.namesAt(e)
    const box = pane.getBoundingClientRect()
    under.hidden = !names.length
    under.textContent = names.join(', ')
    under.style.left = `${e.clientX - box.left + 14}px`
    under.style.top = `${e.clientY - box.top + 14}px`
  }

  down(e) {
    const { view } = this
    const { root, canvas, under } = view.parts
    root.focus({ preventScroll: true })
    under.hidden = true
    if (!view.about) return
    const clickable = view.about.clickable
    if (view.lens.scale > 1 && (e.button === 1 || e.altKey || !clickable)) {
      this.pan = { from: this.inPane(e), x: view.lens.x, y: view.lens.y }
    } else {
      if (!clickable || e.button === 1) return
      view.halt()
      this.drag = { from: this.inFilm(e), minus: e.shiftKey || e.button === 2, box: false }
    }
    canvas.setPointerCapture(e.pointerId)
    e.preventDefault()
  }

  move(e) {
    if (!this.view.about) return
    if (this.pan) this.movePicture(e)
    else if (this.drag) this.stretchBox(e)
    else this.nameUnder(e)
  }

  movePicture(e) {
    const { lens, about } = this.view
    const [x, y] = this.inPane(e)
    lens.x = this.pan.x - (x - this.pan.from[0]) / lens.scale
    lens.y = this.pan.y - (y - this.pan.from[1]) / lens.scale
    keepInside(lens, about)
    this.view.draw()
  }

  stretchBox(e) {
    const { lens, about } = this.view
    const { canvas } = this.view.parts
    const to = this.inFilm(e)
    const { from, minus } = this.drag
    const far = dragFrom * canvas.width / canvas.clientWidth / enlargement(about) / lens.scale
    this.drag.box ||= Math.hypot(to[0] - from[0], to[1] - from[1]) > far
    if (!this.drag.box || minus) return
    this.view.draw().then(() => {
      if (this.drag) this.paintDrag(from, to)
    })
  }

  /** The box that is being drawn. */
  paintDrag([x0, y0], [x1, y1]) {
    const { lens, about } = this.view
    const g = this.view.parts.canvas.getContext('2d')
    const unit = 1 / enlargement(about)
    g.lineWidth = 2 * unit
    g.setLineDash([5 * unit, 4 * unit])
    g.strokeStyle = '#fff'
    g.strokeRect((x0 - lens.x) * lens.scale, (y0 - lens.y) * lens.scale, (x1 - x0) * lens.scale, (y1 - y0) * lens.scale)
    g.setLineDash([])
  }

  up(e) {
    if (this.pan) {
      this.pan = null
      return
    }
    if (!this.drag) return
    const { view } = this
    const { from: [x0, y0], minus, box } = this.drag
    const [x1, y1] = this.inFilm(e)
    this.drag = null
    if (box && !minus) {
      const corners = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)]
      view.model.send({ kind: 'box', t: view.t, box: corners })
    } else {
      view.model.send({ kind: 'point', t: view.t, x: x0, y: y0, positive: !minus })
    }
    view.parts.root.dataset.clicked = performance.now()
    view.draw()
  }
}
