// What there is to choose from: objects, videos and clips, problems.

import { make } from './dom.js'

/** An object as it is called: its category comes first, where that says more than its name. */
export function nameOf(thing) {
  return thing.cat && thing.cat !== thing.name ? `${thing.cat} ${thing.name}` : thing.name
}

function dot(colour) {
  const element = make('i')
  element.style.background = `rgb(${colour})`
  return element
}

/** A button that shows or hides the objects of these numbers. */
function chip(view, numbers, text, { tip, colour, key }) {
  const kids = [text]
  if (colour) kids.unshift(dot(colour))
  if (key) kids.push(make('kbd', { textContent: key }))
  const button = make('button', { className: 'chip', title: tip }, ...kids)
  button.ariaPressed = numbers.some(n => !view.hidden.has(n))
  button.onclick = () => view.toggle(numbers)
  return button
}

function objectChip(view, thing, n) {
  const key = n < 9 && n + 1
  const tip = 'show or hide' + (key ? ` (key ${key})` : '')
  return chip(view, [n], nameOf(thing), { tip, colour: thing.col, key })
}

function categoryChip(view, cat) {
  const numbers = view.about.things.flatMap((thing, n) => thing.cat === cat ? [n] : [])
  return chip(view, numbers, `all ${cat}`, { tip: `show or hide every ${cat}` })
}

/** The objects, their categories, and what the colours of errors mean. */
export function listThings(view) {
  const { things, panes, error } = view.about
  const cats = [...new Set(things.map(thing => thing.cat))].filter(cat => cat)
  view.parts.chips.replaceChildren(...things.map((thing, n) => objectChip(view, thing, n)))
  if (cats.length > 1) view.parts.chips.append(...cats.map(cat => categoryChip(view, cat)))
  if (!panes.includes('error')) return
  view.parts.chips.append(...error.map(kind => make('span', { className: 'key' }, dot(kind.col), kind.name)))
}

/** A button that opens a place: {video} or {video, clip}; null where there is none. */
function goTo(view, text, title, place) {
  const onclick = () => {
    view.say('loading \u2026')
    view.openPlace(place)
  }
  return make('button', { textContent: text, title, disabled: !place, onclick })
}

function videoButtons(view) {
  const { videos, video } = view.about
  const options = videos.map((name, i) => make('option', { value: i, textContent: name, selected: i === video }))
  const list = make('select', { title: 'video', ariaLabel: 'video' }, ...options)
  list.onchange = () => view.openPlace({ video: +list.value })
  const before = video > 0 ? { video: video - 1 } : null
  const next = video + 1 < videos.length ? { video: video + 1 } : null
  return [goTo(view, '\u25c0', 'video before', before), list, goTo(view, '\u25b6', 'next video', next)]
}

function clipButtons(view) {
  const { video, clip, clips } = view.about
  const before = clip > 0 ? { video, clip: clip - 1 } : null
  const next = clip + 1 < clips ? { video, clip: clip + 1 } : null
  return [
    goTo(view, '\u2039', 'clip before', before),
    `clip ${clip + 1} of ${clips}`,
    goTo(view, '\u203a', 'next clip', next),
  ]
}

/** Goes through the frames by the last curve, the lowest value first; none where there is no curve. */
function worstButton(view) {
  const [name, values] = Object.entries(view.about.curves).pop() || ['', []]
  const frames = values.map((value, t) => ({ value, t })).filter(o => o.value !== null)
  const order = frames.sort((a, b) => a.value - b.value).map(o => o.t)
  if (!order.length) return []
  const onclick = () => view.seek(order[(order.indexOf(view.t) + 1) % order.length])
  return [make('button', { textContent: 'next worst frame', title: `by ${name}`, onclick })]
}

/** Where one is, and where one can go. */
export function listPlaces(view) {
  const { title, videos, clips, panes } = view.about
  view.parts.places.replaceChildren(
    make('b', { textContent: videos ? '' : title }),
    ...(videos ? videoButtons(view) : []),
    ...(clips > 1 ? clipButtons(view) : []),
    ...(panes.includes('error') ? worstButton(view) : []))
}

function problemButton(view, problem) {
  const onclick = () => {
    const { video, clip } = view.about
    const here = problem.video === undefined || (problem.video === video && problem.clip === clip)
    if (here) view.seek(problem.t)
    else view.openPlace({ video: problem.video, frame: problem.frame })
  }
  return make('button', { textContent: problem.text, onclick })
}

/** What `check` found, folded away. */
export function listProblems(view) {
  const { found, problems } = view.about
  const list = view.parts.problems
  const some = found > problems.length ? `, the first ${problems.length} here; sam2_video_check lists all` : ''
  const text = `${found} problem${found === 1 ? '' : 's'} found by check${some}`
  list.hidden = !problems.length
  list.replaceChildren(make('summary', { textContent: text }), ...problems.map(p => problemButton(view, p)))
}
