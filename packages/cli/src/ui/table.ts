/**
 * Lays out rows that fit the terminal.
 */
import { stripVTControlCharacters } from "node:util"

// Marks, joiners and other characters that take no cell of their own.
const zeroWidth = /[\p{Mn}\p{Me}\p{Cf}]/u
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u
const wideSymbol = /[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

const widthOf = (character: string): number =>
  zeroWidth.test(character) ? 0 : wide.test(character) || wideSymbol.test(character) ? 2 : 1

/** How many cells of a terminal a text takes. */
export const width = (text: string): number => {
  let cells = 0
  for (const character of stripVTControlCharacters(text)) cells += widthOf(character)
  return cells
}

/** Text cut to a number of cells; an ellipsis says that something is missing. */
export const fit = (text: string, cells: number): string => {
  if (width(text) <= cells) return text
  if (cells < 1) return ""
  let kept = ""
  let used = 0
  for (const character of text) {
    used += widthOf(character)
    if (used > cells - 1) break
    kept += character
  }
  return `${kept}…`
}

const pad = (text: string, cells: number): string => text + " ".repeat(Math.max(0, cells - width(text)))

/** Lines of a table. Where the columns don't fit, the last one is cut. */
export const table = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  columns: number
): ReadonlyArray<string> => {
  const all = [header, ...rows]
  const widths = header.map((_, i) => Math.max(...all.map((row) => width(row[i] ?? ""))))
  return all.map((row) =>
    fit(row.map((cell, i) => i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0)).join("  "), columns)
  )
}
