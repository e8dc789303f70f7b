/**
 * Lays out rows that fit the terminal.
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Num from "effect/Number"

let segmenter: Intl.Segmenter | undefined

/** Text cut to a number of cells; an ellipsis says that something is missing. */
export const fit = (text: string, cells: number): string => {
  // Nothing takes more than two.
  if (text.length * 2 <= cells || CliOutput.displayWidth(text) <= cells) return text
  if (cells < 1) return ""
  let kept = ""
  let used = 0
  // It opens tables of Unicode, and most commands cut nothing.
  segmenter ??= new Intl.Segmenter()
  for (const { segment } of segmenter.segment(text)) {
    used += CliOutput.displayWidth(segment)
    if (used > cells - 1) break
    kept += segment
  }
  return `${kept}…`
}

const pad = (text: string, cells: number): string =>
  text + " ".repeat(Math.max(0, cells - CliOutput.displayWidth(text)))

/** How many cells each column takes. */
const widthsOf = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<number> =>
  header.map((_, i) => Math.max(...[header, ...rows].map((row) => CliOutput.displayWidth(row[i] ?? ""))))

/** So many cells the last column has at least before others are left out for it, if it needs them. */
const leastLast = 16

/**
 * Lines of a table. A column that may be left out is left out if nothing is in it. Where the columns don't fit, some
 * are left out, in this order, and then the last one is cut.
 */
export const table = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  columns: number,
  expendable: ReadonlyArray<string> = []
): ReadonlyArray<string> => {
  const isEmpty = (name: string) => rows.every((row) => (row[header.indexOf(name)] ?? "") === "")
  const [first, ...others] = expendable.toSorted((a, b) => Number(isEmpty(b)) - Number(isEmpty(a)))
  const all = [header, ...rows]
  const widths = widthsOf(header, rows)
  const wanted = Math.max(leastLast, Math.floor(columns / 4))
  const needed = widths.map((width, i) => i === widths.length - 1 ? Math.min(width, wanted) : width + 2)
  if (first !== undefined && (isEmpty(first) || Num.sumAll(needed) > columns)) {
    const kept = (cells: ReadonlyArray<string>) => cells.filter((_, i) => header[i] !== first)
    return table(kept(header), rows.map(kept), columns, others)
  }
  return all.map((row) =>
    fit(row.map((cell, i) => i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0)).join("  "), columns)
  )
}

/**
 * Breaks text between words into lines of so many cells; a word that is longer is a line of its own. A command between
 * backticks is one word: a terminal can't copy one that is on two lines.
 */
export const broken = (text: string, cells: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.match(/ *(?:`[^`]*`[^ ]*|[^ ]+)/g) ?? []) {
    const longer = `${lines.at(-1) ?? ""}${word}`
    if (lines.length > 0 && CliOutput.displayWidth(longer) <= cells) lines[lines.length - 1] = longer
    else lines.push(lines.length > 0 ? word.trimStart() : word)
  }
  return lines
}

/** Lines of a table, of which nothing is cut: the last column goes on below itself where it does not fit. */
export const wrappedTable = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  columns: number
): ReadonlyArray<string> => {
  const all = [header, ...rows]
  const widths = widthsOf(header, rows).slice(0, -1)
  const left = Math.max(leastLast, columns - Num.sumAll(widths) - 2 * widths.length)
  return all.flatMap((row) =>
    broken(row.at(-1) ?? "", left).map((part, n) =>
      [...widths.map((width, i) => pad(n === 0 ? row[i] ?? "" : "", width)), part].join("  ")
    )
  )
}
