// A part of a panel that only has a pulse.

import { pulse } from './pulse.js'

export default { render: ({ model, el }) => pulse(model, el) }
