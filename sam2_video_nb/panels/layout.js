// Where things are on the stage: panes side by side under their titles, all of them seen through one lens.
// Lengths are pixels of the film where no other unit is named.

export const gap = 6                    // between two panes
const paneMost = 512                    // longer side of a pane that is enlarged, canvas pixels
const stageMost = 1100                  // width of all panes, canvas pixels
const scaleMost = 16

/** Canvas pixels to a pixel of the film: a small film is drawn larger, so that lines and words are sharp. */
export function enlargement(about) {
  const ofPane = paneMost / Math.max(about.width, about.height)
  const ofStage = stageMost / (about.width * about.panes.length)
  return Math.max(1, Math.floor(Math.min(ofPane, ofStage)))
}

/** Height of the titles; a single pane has none. */
export function titleHeight(about) {
  return about.panes.length > 1 ? Math.round(18 / enlargement(about)) : 0
}

/** Width of all panes. */
export function stageWidth(about) {
  return about.panes.length * (about.width + gap) - gap
}

/** Width of the stage on the screen: as wide as there is room, and no higher than the window. */
export function shownWidth(about) {
  const wide = stageWidth(about)
  const high = about.height + titleHeight(about)
  const highMost = Math.max(240, .6 * window.innerHeight)
  const enlarged = Math.max(wide, Math.min(paneMost * about.panes.length, stageMost))
  return Math.round(Math.min(enlarged, highMost * wide / high))
}

/** The lens that shows a film whole: how much enlarged, from which pixel on. */
export function wholeFilm() {
  return { scale: 1, x: 0, y: 0 }
}

/** Move a lens so that it shows nothing beside the film. */
export function keepInside(lens, about) {
  lens.scale = Math.max(1, Math.min(lens.scale, scaleMost))
  lens.x = Math.max(0, Math.min(lens.x, about.width - about.width / lens.scale))
  lens.y = Math.max(0, Math.min(lens.y, about.height - about.height / lens.scale))
}

/** Enlarge by a factor; what is under this point of the pane stays under it. */
export function enlargeAt(lens, factor, [px, py], about) {
  const x = lens.x + px / lens.scale
  const y = lens.y + py / lens.scale
  lens.scale = Math.max(1, Math.min(lens.scale * factor, scaleMost))
  lens.x = x - px / lens.scale
  lens.y = y - py / lens.scale
  keepInside(lens, about)
}
