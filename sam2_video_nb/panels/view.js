// The view: it holds the pieces together, and speaks with the kernel's half.

import { makeControls } from './controls.js'
import { keyDown } from './keys.js'
import { shownWidth, wholeFilm } from './layout.js'
import { listPlaces, listProblems, listThings } from './lists.js'
import { paint } from './paint.js'
import { Pointer } from './pointer.js'
import { pulse } from './pulse.js'
import { Recent, Store } from './store.js'
import { paintTimeline } from './timeline.js'

const decodeAhead = 120                 // a film of as many frames is decoded as it comes
const tellAfter = 150                   // ms without a further frame, after which the kernel is told

class FilmView {
  constructor(model, el) {
    this.model = model
    this.store = new Store(msg => model.send(msg))
    this.covers = new Recent(300)       // frame → its masks as they were painted
    this.about = null                   // the film, as the kernel tells it
    this.t = 0                          // the frame that is seen
    this.hidden = new Set()             // numbers of the objects that are switched off
    this.alpha = .5                     // of the masks
    this.lens = wholeFilm()
    this.playing = 0                    // timers
    this.telling = 0
    this.painting = false               // a frame is on its way to the stage,
    this.again = false                  // and is not the newest any more
    this.ended = false
    this.parts = makeControls()
    el.append(this.parts.root)
    this.endPulse = pulse(model, this.parts.root)
    this.pointer = new Pointer(this)
    this.listen()
    this.open()
  }

  /** Tie the controls and the kernel's messages to what they do. */
  listen() {
    const { root, play, speed, range, opacity, timeline, confirm } = this.parts
    confirm.onclick = () => this.confirm()
    play.onclick = () => this.playOrStop()
    speed.onchange = () => {
      if (this.playing) this.start()
    }
    range.oninput = () => this.goTo(+range.value)
    opacity.oninput = () => {
      this.alpha = opacity.value / 100
      this.redraw()
    }
    timeline.onclick = e => this.goTo(Math.floor(e.offsetX / timeline.clientWidth * this.about.names.length))
    root.onkeydown = e => keyDown(this, e)
    this.heardFrom = [
      ['msg:custom', (msg, buffers) => this.hear(msg, buffers)],
      ['change:about', () => this.open()],
      ['change:frame', () => this.moved()],
    ]
    for (const [event, f] of this.heardFrom) this.model.on(event, f)
    this.resized = new ResizeObserver(() => {
      if (this.about) this.fit()
      this.draw()
    })
    this.resized.observe(root)
    this.resized.observe(document.documentElement)
  }

  end() {
    this.ended = true
    this.halt()
    this.endPulse()
    clearTimeout(this.telling)
    this.resized.disconnect()
    for (const [event, f] of this.heardFrom) this.model.off(event, f)
  }

  say(text, error) {
    this.parts.status.textContent = text || ''
    this.parts.status.classList.toggle('error', !!error)
  }

  /** Draw the frame at hand: one at a time; what comes meanwhile is drawn next, the newest only. */
  async draw() {
    if (!this.about || this.ended) return
    if (this.painting) {
      this.again = true
      return
    }
    this.painting = true
    try {
      do {
        this.again = false
        if (!await this.drawStage(this.t)) break
      } while (this.again)
    } catch (e) {
      this.say(`this frame cannot be shown: ${e.message}`, true)
    } finally {
      this.painting = false
    }
    if (!this.ended) this.drawAround()
  }

  /** Paint a frame, once it is there; false where it is not. */
  async drawStage(t) {
    const { store, parts } = this
    store.fetch(t)
    parts.root.dataset.loaded = store.jpegs.size
    if (!store.has(t)) {
      parts.label.textContent = `${t + 1} / ${this.about.names.length} \u2026`
      return false
    }
    const [picture, bits] = await store.decode(t)
    if (this.ended) return false
    const { about, hidden, covers, lens } = this    // as they are by now
    paint(parts.canvas, about, { t, picture, bits, hidden, alpha: Math.round(255 * this.alpha), covers, lens })
    parts.root.dataset.frame = t
    parts.root.dataset.paints = 1 + +(parts.root.dataset.paints || 0)
    return true
  }

  /** What goes with the frame: its name, the slider, the timeline. */
  drawAround() {
    const { about, store, parts, t, hidden } = this
    if (store.has(t)) parts.label.textContent = `${t + 1} / ${about.names.length}  ${about.names[t]}`
    parts.range.value = t
    paintTimeline(parts.timeline, about, t, hidden)
  }

  /** Everything looks different now: objects, opacity. */
  redraw() {
    this.covers.clear()
    this.draw()
  }

  /** Show a frame; the kernel is told, once no other follows at once, unless it is done quietly. */
  seek(t, quietly = false) {
    this.t = Math.max(0, Math.min(this.about.names.length - 1, Math.round(t)))
    this.draw()
    if (quietly) return
    clearTimeout(this.telling)
    this.telling = setTimeout(() => {
      this.model.set('frame', this.t)
      this.model.save_changes()
    }, tellAfter)
  }

  /** Show a frame and play no more. */
  goTo(t) {
    this.halt()
    this.seek(t)
  }

  start() {
    clearInterval(this.playing)
    this.parts.play.textContent = '\u25a0'
    this.playing = setInterval(() => this.next(), 1000 / Math.max(1, +this.parts.speed.value || 8))
  }

  /** The frame after this one, as soon as it is there. */
  next() {
    const t = (this.t + 1) % this.about.names.length
    if (this.store.has(t)) this.seek(t, true)
    else this.store.fetch(t)
  }

  /** Play no more, and say nothing of it. */
  halt() {
    clearInterval(this.playing)
    this.playing = 0
    this.parts.play.textContent = '\u25b6'
  }

  playOrStop() {
    if (this.playing) this.goTo(this.t)
    else this.start()
  }

  confirm() {
    this.goTo(this.t)
    this.model.send({ kind: 'confirm', t: this.t })
  }

  /** Hide these objects if any of them is seen, else show them. */
  toggle(numbers) {
    const hide = numbers.some(n => !this.hidden.has(n))
    for (const n of numbers) {
      if (hide) this.hidden.add(n)
      else this.hidden.delete(n)
    }
    listThings(this)
    this.redraw()
  }

  /** Ask for another film: {video}, and perhaps {clip} or {frame}. */
  openPlace(place) {
    clearTimeout(this.telling)          // the frame seen last is not to be told after the one asked for
    this.model.send({ kind: 'open', ...place })
  }

  /** The kernel tells of a film: another one, or more of the same. */
  open() {
    const about = this.model.get('about')
    const fresh = !this.about || this.about.gen !== about.gen
    this.about = about
    if (fresh) this.forget()
    this.t = Math.max(0, Math.min(about.names.length - 1, this.t))
    this.parts.range.max = about.names.length - 1
    if (fresh) this.parts.speed.value = Math.round(about.fps)
    this.parts.canvas.classList.toggle('aim', !!about.clickable)
    this.parts.confirm.hidden = !about.clickable
    this.fit()
    listThings(this)
    listPlaces(this)
    listProblems(this)
    this.redraw()
  }

  /** Begin anew with another film. */
  forget() {
    const { names, width, height, gen, status } = this.about
    clearTimeout(this.telling)
    this.halt()
    this.lens = wholeFilm()
    this.hidden.clear()
    this.covers.clear()
    this.store.clear({ frames: names.length, width, height, gen })
    this.t = this.model.get('frame')
    this.say(status)
  }

  fit() {
    const { canvas } = this.parts
    const width = `${shownWidth(this.about)}px`
    if (canvas.style.width !== width) canvas.style.width = width
  }

  /** A message of the kernel: a line to say, frames, or new masks. */
  hear(msg, buffers) {
    const { about, store, parts } = this
    if (msg.kind === 'say') {
      this.say(msg.text, msg.error)
      return
    }
    if (msg.gen !== about?.gen) return
    store.put(msg, buffers)
    for (const t of msg.ts) {
      this.covers.delete(t)
      // ready before one gets there; what is wrong with a frame is said there
      if (about.names.length <= decodeAhead) store.decode(t).catch(() => {})
    }
    if (msg.kind === 'masks' && msg.ts.includes(this.t)) {
      parts.root.dataset.masks = 1 + +(parts.root.dataset.masks || 0)
      parts.root.dataset.answered = performance.now()
    }
    parts.root.dataset.loaded = store.jpegs.size
    if (msg.ts.includes(this.t)) this.draw()
    else store.fetch(this.t)
  }

  /** The kernel has chosen another frame. */
  moved() {
    const t = this.model.get('frame')
    if (!this.about || t === this.t) return
    this.halt()
    this.seek(t, true)
  }
}

export default {
  render({ model, el }) {
    const view = new FilmView(model, el)
    return () => view.end()
  },
}
