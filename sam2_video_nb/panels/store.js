// The store: what has come from the kernel, and the frames that were decoded lately.

const patience = 15000                  // ms after which a frame that did not come is asked for again
const perQuestion = 8                   // frames
const kept = 300                        // decoded frames

/** A map that forgets what was not used for long. */
export class Recent extends Map {
  constructor(most) {
    super()
    this.most = most
  }

  get(key) {
    const value = super.get(key)
    if (value === undefined) return undefined
    this.delete(key)                    // set again, it stands at the end: the latest in use
    super.set(key, value)
    return value
  }

  set(key, value) {
    super.set(key, value)
    if (this.size > this.most) {
      const [oldest, gone] = this.entries().next().value
      this.delete(oldest)
      gone.close?.()                    // a bitmap holds memory that is not collected by itself
    }
    return this
  }
}

/** A label map as whole numbers, or null where there is none. */
async function bitsOf(png, width, height) {
  if (!png.size) return null
  // the colours are numbers here: they must come through untouched
  const image = await createImageBitmap(png, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' })
  const g = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
  g.drawImage(image, 0, 0)
  image.close()
  const pixels = g.getImageData(0, 0, width, height).data
  return new Uint32Array(pixels.buffer).map(v => v & 0xffffff)
}

/** The frames of one film; `ask` sends a message to the kernel. */
export class Store {
  constructor(ask) {
    this.ask = ask
    this.clear({ frames: 0, width: 0, height: 0, gen: 0 })
  }

  /** Begin with another film; `gen` is its number, by which late answers for an earlier one are told. */
  clear({ frames, width, height, gen }) {
    Object.assign(this, { frames, width, height, gen })
    this.jpegs = new Map()              // frame → what came: its picture,
    this.pngs = new Map()               // and its label maps
    this.pictures = new Recent(kept)    // frame → the same, decoded
    this.bits = new Recent(kept)
    this.asked = new Map()              // frame → when it was asked for
  }

  has(t) {
    return this.jpegs.has(t)
  }

  /** Ask for frames that are missing, from t on; at most two questions at a time. */
  fetch(t) {
    const now = Date.now()
    for (const [k, at] of this.asked) {
      if (this.has(k) || now - at > patience) this.asked.delete(k)
    }
    if (this.asked.size > perQuestion) return
    const ts = []
    for (let i = 0; i < this.frames && ts.length < perQuestion; i++) {
      const k = (t + i) % this.frames
      if (!this.has(k) && !this.asked.has(k)) ts.push(k)
    }
    if (!ts.length) return
    ts.forEach(k => this.asked.set(k, now))
    this.ask({ kind: 'need', gen: this.gen, ts })
  }

  /** What came: for each frame a JPEG (not with masks alone), then its PNGs. */
  put(msg, buffers) {
    let i = 0
    const next = type => new Blob([buffers[i++]], { type })
    for (const t of msg.ts) {
      if (msg.kind === 'frames') {
        this.jpegs.set(t, next('image/jpeg'))
        this.asked.delete(t)
      }
      this.pngs.set(t, Array.from({ length: msg.maps }, () => next('image/png')))
      this.bits.delete(t)
    }
  }

  /** [picture, label maps]; what comes too late, after another film or other masks, is not kept. */
  async decode(t) {
    const { width, height, jpegs, pngs, pictures, bits } = this
    const png = pngs.get(t)
    if (!pictures.get(t)) pictures.set(t, await createImageBitmap(jpegs.get(t)))
    let maps = bits.get(t)
    if (!maps) {
      maps = await Promise.all(png.map(p => bitsOf(p, width, height)))
      if (pngs.get(t) === png) bits.set(t, maps)
    }
    return [pictures.get(t), maps]
  }
}
