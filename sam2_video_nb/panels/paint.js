// The painter: label maps become colours over the picture, with prompt marks on top.

import { enlargement, gap, stageWidth, titleHeight, wholeFilm } from './layout.js'

export const layerBits = 24             // objects in one label map
const darkGround = '#232323'            // of an error pane

/** A colour as the canvas keeps it, but for its opacity. */
function packed([red, green, blue]) {
  return red | green << 8 | blue << 16
}

/** Does a neighbour of this pixel have other objects? Where the picture ends there is no border. */
function isBorder(bits, shown, x, y, width, height) {
  const i = y * width + x
  const here = bits[i] & shown
  return (x > 0 && (bits[i - 1] & shown) !== here)
    || (x < width - 1 && (bits[i + 1] & shown) !== here)
    || (y > 0 && (bits[i - width] & shown) !== here)
    || (y < height - 1 && (bits[i + width] & shown) !== here)
}

/** Colour one label map; of the objects that are shown, the first at a pixel is seen, and borders are opaque. */
function tint(image, bits, { shown, colours, alpha, borders }) {
  const { width, height } = image
  const pixels = new Uint32Array(image.data.buffer)
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const here = bits[i] & shown
      if (!here) continue
      const opaque = borders && isBorder(bits, shown, x, y, width, height)
      const first = 31 - Math.clz32(here & -here)
      pixels[i] = ((opaque ? 255 : alpha) << 24 | colours[first]) >>> 0
    }
  }
}

/** The masks of a pane as an image; `maps` are its label maps. */
function maskImage(about, title, maps, hidden, alpha) {
  const image = new ImageData(about.width, about.height)
  const isError = title === 'error'
  const things = isError ? about.error : about.things
  for (let layer = about.layers - 1; layer >= 0; layer--) {
    if (!maps[layer]) continue
    const start = layer * layerBits
    const colours = things.slice(start, start + layerBits).map(thing => packed(thing.col))
    let shown = 0
    colours.forEach((_, i) => {
      if (isError || !hidden.has(start + i)) shown |= 1 << i
    })
    tint(image, maps[layer], { shown, colours, alpha: isError ? 255 : alpha, borders: !isError })
  }
  return image
}

/** The masks of all panes, to lay over the picture. */
function coverOf(about, bits, hidden, alpha) {
  const cover = new OffscreenCanvas(stageWidth(about), about.height)
  const g = cover.getContext('2d')
  about.panes.forEach((title, p) => {
    const maps = bits.slice(p * about.layers, (p + 1) * about.layers)
    g.putImageData(maskImage(about, title, maps, hidden, alpha), p * (about.width + gap), 0)
  })
  return cover
}

function paintBox(g, [[x0, y0], [x1, y1]], colour, unit) {
  for (const [width, stroke] of [[4, '#000'], [2, colour]]) {
    g.lineWidth = width * unit
    g.strokeStyle = stroke
    g.strokeRect(x0, y0, x1 - x0, y1 - y0)
  }
}

function paintClick(g, [x, y], positive, colour, unit) {
  g.beginPath()
  g.arc(x, y, 7 * unit, 0, 7)
  g.fillStyle = positive ? colour : '#fff'
  g.fill()
  g.lineWidth = 1.5 * unit
  g.strokeStyle = positive ? '#000' : colour
  g.stroke()
  g.fillStyle = positive ? '#fff' : colour
  g.fillRect(x - 4 * unit, y - unit, 8 * unit, 2 * unit)
  if (positive) g.fillRect(x - unit, y - 4 * unit, 2 * unit, 8 * unit)
}

/** Prompts as in our pictures: a dot with a plus or a minus, a box. `unit`: film pixels to one of the screen. */
function paintMarks(g, marks, things, hidden, unit) {
  for (const { n, pts, labels } of marks) {
    if (hidden.has(n)) continue
    const colour = `rgb(${things[n].col})`
    const corners = pts.filter((_, i) => labels[i] > 1)
    if (corners.length === 2) paintBox(g, corners, colour, unit)
    pts.forEach((point, i) => {
      if (labels[i] <= 1) paintClick(g, point, labels[i] === 1, colour, unit)
    })
  }
}

/** One pane: the picture (or a dark ground under errors), the masks over it, the title above. */
function paintPane(g, about, p, { picture, cover, lens, unit, ink }) {
  const { width, height } = about
  const title = about.panes[p]
  const top = titleHeight(about)
  const x = p * (width + gap)
  if (title === 'error') {
    g.fillStyle = darkGround
    g.fillRect(x, top, width, height)
  } else {
    const [across, down] = [picture.width / width, picture.height / height]
    g.drawImage(picture, lens.x * across, lens.y * down, picture.width / lens.scale, picture.height / lens.scale,
      x, top, width, height)
  }
  g.imageSmoothingEnabled = false       // a mask has pixels, not shades
  g.drawImage(cover, x + lens.x, lens.y, width / lens.scale, height / lens.scale, x, top, width, height)
  g.imageSmoothingEnabled = true
  if (top) {
    g.fillStyle = ink
    g.font = `${Math.min(14 * unit, .9 * top)}px sans-serif`
    g.fillText(title, x + 1, .75 * top)
  }
}

/**
 * Paint the whole stage.
 * hidden: numbers of the objects that are switched off; alpha: of the masks, 0 to 255;
 * covers: frame → its masks as they were painted last, which is filled here.
 */
export function paint(canvas, about, { t, picture, bits, hidden, alpha, covers, lens = wholeFilm() }) {
  const { width, height } = about
  const zoom = enlargement(about)
  const top = titleHeight(about)
  const wide = stageWidth(about)
  if (canvas.width !== zoom * wide || canvas.height !== zoom * (height + top)) {
    canvas.width = zoom * wide
    canvas.height = zoom * (height + top)
  }
  if (covers.get(t)?.of !== bits) {     // none yet, or of masks that are no more
    covers.set(t, { of: bits, cover: coverOf(about, bits, hidden, alpha) })
  }
  const { cover } = covers.get(t)
  const unit = wide / (canvas.clientWidth || zoom * wide)
  const ink = getComputedStyle(canvas).color
  const g = canvas.getContext('2d')
  g.setTransform(zoom, 0, 0, zoom, 0, 0)
  g.clearRect(0, 0, wide, height + top)
  about.panes.forEach((_, p) => paintPane(g, about, p, { picture, cover, lens, unit, ink }))
  g.save()
  g.beginPath()
  g.rect(0, top, width, height)         // marks are in the first pane, and stay in it
  g.clip()
  g.translate(0, top)
  g.scale(lens.scale, lens.scale)
  g.translate(-lens.x, -lens.y)
  paintMarks(g, about.marks.filter(mark => mark.t === t), about.things, hidden, unit / lens.scale)
  g.restore()
}
