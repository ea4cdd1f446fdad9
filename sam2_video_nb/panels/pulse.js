// The pulse: is there still a kernel that hears what is pressed here?

import { make } from './dom.js'

const answerWithin = 4000               // ms
const busyLine = 'The kernel is busy with another cell: what you press here waits until it is done.'
const silentLine = 'The kernel does not answer: it is busy, or gone.'
const goneLine = 'The kernel of this panel is gone (restarted, or shut down): nothing that you press here is heard.'

class Pulse {
  constructor(model, root) {
    this.model = model
    this.root = root
    this.line = make('div', { className: 'gone', hidden: true })
    this.alive = `alive-${model.get('face_id')}`   // by this class the still face knows to stay hidden
    this.waiting = 0                               // timer, while an answer is due
    this.known = false                             // has the kernel ever answered?
    this.line.setAttribute('role', 'alert')
    root.prepend(this.line)
    root.classList.add(this.alive)
    this.listen()
    this.ask(true)
  }

  listen() {
    this.heardFrom = [
      ['msg:custom', () => this.heard()],
      ['comm_live_update', () => this.ask()],      // the front end has lost the kernel, or found it again
    ]
    this.pressed = event => {
      const panel = this.root.closest('.widget-vbox') || this.root
      if (panel.contains(event.target)) this.ask()
    }
    for (const [event, f] of this.heardFrom) this.model.on(event, f)
    document.addEventListener('pointerdown', this.pressed, true)
  }

  end() {
    clearTimeout(this.waiting)
    for (const [event, f] of this.heardFrom) this.model.off(event, f)
    document.removeEventListener('pointerdown', this.pressed, true)
  }

  tell(text) {
    this.line.textContent = text
    this.line.hidden = !text
  }

  /** Ask whether there is a kernel; quietly, nothing is said of one that may only be busy. */
  ask(quietly = false) {
    if (this.waiting) return
    this.waiting = setTimeout(() => this.silent(quietly), answerWithin)
    try {
      this.model.send({ kind: 'ping' })
    } catch {
      clearTimeout(this.waiting)
      this.waiting = 0
      this.gone()
    }
  }

  heard() {
    clearTimeout(this.waiting)
    this.waiting = 0
    this.known = true
    this.tell('')
    this.root.dataset.kernel = 'there'
    this.root.classList.add(this.alive)
  }

  /** No answer in time. */
  silent(quietly) {
    this.waiting = 0
    const status = this.model.widget_manager?.kernel?.status
    if (status && status !== 'busy') this.gone()
    else if (!quietly) this.tell(status ? busyLine : silentLine)
  }

  gone() {
    this.tell(`${goneLine} ${this.model.get('go_on')}`)
    this.root.dataset.kernel = 'gone'
    if (!this.known) this.root.classList.remove(this.alive)     // it was never there: the still face says more
  }
}

/** Feel the kernel's pulse whenever the panel is pressed; `root` is the part that is ours. Gives how to end. */
export function pulse(model, root) {
  const feeling = new Pulse(model, root)
  return () => feeling.end()
}
