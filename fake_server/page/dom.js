// Making elements. Whatever a client sent becomes text, never markup: nothing here or elsewhere parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// An HTML element with attributes, listeners (`onclick`) and children.
export function make(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

// The same in SVG.
export function draw(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

// Draw a place anew; whoever had the focus in it has it afterwards, if an element with the same data-key is there.
export function redraw(place, children) {
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...children);
  if (held !== undefined) {
    const next = [...place.querySelectorAll("[data-key]")].find((element) => element.dataset.key === held);
    next?.focus({ preventScroll: true });
  }
}

const shownIn = new WeakMap();

// Draw a place anew only if what is shown there has changed.
export function redrawIfNew(place, shown, children) {
  const mark = JSON.stringify(shown);
  if (shownIn.get(place) !== mark) {
    redraw(place, children());
    shownIn.set(place, mark);
  }
}
