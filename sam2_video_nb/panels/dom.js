// Elements of a page.

/** An element with these properties and children. */
export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag)
  Object.assign(element, props)
  element.append(...children)
  return element
}
