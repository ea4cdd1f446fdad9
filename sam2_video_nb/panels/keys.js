// The keyboard.

/** Where the arrows lead from here; undefined for other keys. */
function frameFor(view, e) {
  const step = e.shiftKey ? 10 : 1
  const frames = {
    ArrowLeft: view.t - step,
    ArrowRight: view.t + step,
    Home: 0,
    End: view.about.names.length - 1,
  }
  return frames[e.key]
}

/** Digit n switches object n, 0 all of them. */
function toggleDigit(view, digit) {
  const all = view.about.things.map((_, n) => n)
  if (digit === 0) view.toggle(all)
  else if (digit <= all.length) view.toggle([digit - 1])
}

/** Keys of a film that is there to be annotated. */
function annotationKey(view, key, plain) {
  if (key === 'z') return () => view.model.send({ kind: 'undo' })
  if (plain && key === 'c') return () => view.confirm()
  return null
}

/** What a key does, as a function; null where it is not ours. */
function actionOf(view, e) {
  const { about, pointer } = view
  const plain = !e.ctrlKey && !e.metaKey
  const frame = frameFor(view, e)
  const middle = [about.width / 2, about.height / 2]
  if (e.key === ' ') return () => view.playOrStop()
  if (frame !== undefined) return () => view.goTo(frame)
  if (plain && !e.altKey && /^[0-9]$/.test(e.key)) return () => toggleDigit(view, +e.key)
  if (plain && '+='.includes(e.key)) return () => pointer.enlarge(1.5, middle)
  if (plain && e.key === '-') return () => pointer.enlarge(1 / 1.5, middle)
  if (plain && e.key === 'f') return () => pointer.enlarge(0, [0, 0])
  return about.clickable ? annotationKey(view, e.key, plain) : null
}

/** A key was pressed somewhere in the panel. */
export function keyDown(view, e) {
  const typing = ['INPUT', 'SELECT'].includes(e.target.tagName) && e.target !== view.parts.range
  const act = typing ? null : actionOf(view, e)
  act?.()
  if (act) e.preventDefault()
  if (act || typing) e.stopPropagation()
}
