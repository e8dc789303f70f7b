/**
 * What Linux tells in files.
 */
import * as fs from "node:fs"
import type { Mount } from "../../node.ts"

/** Text of a file; `undefined` where it can't be read. */
export const readText = (path: string): string | undefined => {
  try {
    return fs.readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** The mount that an absolute path is in, from the text of `/proc/self/mountinfo` (proc(5)). */
export const mountIn = (mountinfo: string, path: string): Mount | undefined => {
  let best: Mount | undefined
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2)
    const [, , device, , point] = before.split(" ").map(unescape)
    const [type, source] = after.split(" ").map(unescape)
    if (device === undefined || point === undefined || type === undefined || source === undefined) continue
    const isInside = point === "/" || path === point || path.startsWith(`${point}/`)
    // A later mount on the same point hides an earlier one.
    if (isInside && point.length >= (best?.point.length ?? 0)) best = { device, point, type, source }
  }
  return best
}

const unescape = (field: string): string =>
  field.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
