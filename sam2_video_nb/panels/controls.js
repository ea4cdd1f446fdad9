// The controls: ordinary HTML around the picture.

import { make } from './dom.js'

const timelineTip = 'a row an object: full where it is visible, a frame where it is absent, a dash where nobody knows'

/** All elements of the panel, by name; `root` holds the others. */
export function makeControls() {
  const parts = {
    canvas: make('canvas', { className: 'stage' }),
    under: make('span', { className: 'under', hidden: true }),          // names what is under the mouse
    timeline: make('canvas', { className: 'timeline', title: timelineTip }),
    play: make('button', { className: 'play', textContent: '\u25b6', title: 'play or stop (space)' }),
    range: make('input', { type: 'range', className: 'frame', min: 0, value: 0, ariaLabel: 'frame' }),
    label: make('span', { className: 'label' }),
    speed: make('input', { type: 'number', className: 'speed', min: 1, max: 60, title: 'frames a second' }),
    opacity: make('input', {
      type: 'range', className: 'opacity', min: 0, max: 100, value: 50,
      title: 'opacity of the masks', ariaLabel: 'opacity',
    }),
    // here and not in the kernel's half, since it must mean the frame that is seen
    confirm: make('button', {
      className: 'sure', textContent: 'Confirm frame', title: 'the masks of this frame are right (c)',
    }),
    places: make('div', { className: 'row where' }),                    // videos and clips
    chips: make('div', { className: 'row chips' }),                     // objects
    problems: make('details', { className: 'problems' }),
    status: make('div', { className: 'status' }),
  }
  parts.status.setAttribute('role', 'status')
  parts.pane = make('div', { className: 'pane' }, parts.canvas, parts.under)
  const bar = make('div', { className: 'row' }, parts.play, parts.range, parts.label,
    make('label', { title: 'frames a second' }, parts.speed, ' /s'),
    make('label', {}, 'opacity ', parts.opacity),
    parts.confirm)
  parts.root = make('div', { className: 'film', tabIndex: 0 },
    parts.places, parts.pane, bar, parts.timeline, parts.chips, parts.problems, parts.status)
  parts.root.dataset.lmSuppressShortcuts = 'true'   // the notebook's own keys stay out while this has the focus
  return parts
}
