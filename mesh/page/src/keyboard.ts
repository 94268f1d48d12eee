/** Arrow keys go to the nearest button in their direction. */

import type { KeyboardEvent } from "react";

const DIRECTIONS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** What lies aside of the direction is farther away. */
const ASIDE = 3;

export function moveFocus(event: KeyboardEvent, within: HTMLElement): void {
  const direction = DIRECTIONS[event.key];
  const from = document.activeElement;
  if (direction === undefined || !(from instanceof HTMLElement) || from.dataset.id === undefined) return;
  event.preventDefault();
  const here = middle(from);
  let nearest: HTMLElement | null = null;
  let least = Infinity;
  for (const button of within.querySelectorAll<HTMLElement>("button[data-id]")) {
    const there = middle(button);
    const [dx, dy] = [there.x - here.x, there.y - here.y];
    const along = dx * direction[0] + dy * direction[1];
    const aside = Math.abs(dx * direction[1]) + Math.abs(dy * direction[0]);
    // In a column what is not quite above is not up; in a row what is far above is still to the right.
    if (button === from || along < 2 || (direction[0] === 0 && aside > along * ASIDE)) continue;
    const distance = along + ASIDE * aside;
    if (distance < least) [least, nearest] = [distance, button];
  }
  nearest?.focus({ preventScroll: true });
}

function middle(element: HTMLElement): { x: number; y: number } {
  const box = element.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
}
