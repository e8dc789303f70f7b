/**
 * Finds the mount that a path is in, from the table of mounts of Linux (proc(5)).
 */
import type { Mount } from "../../node.ts"

const unescape = (field: string): string =>
  field.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

const parse = (line: string): Mount | undefined => {
  const [before = "", after = ""] = line.split(" - ", 2)
  const [, , device, , point] = before.split(" ")
  const [type, source] = after.split(" ")
  return device === undefined || point === undefined || type === undefined || source === undefined
    ? undefined
    : { device, point: unescape(point), type, source: unescape(source) }
}

/** The mount that an absolute path is in, from the text of `/proc/self/mountinfo`. */
export const mountIn = (mountinfo: string, path: string): Mount | undefined => {
  let best: Mount | undefined
  for (const line of mountinfo.split("\n")) {
    const mount = parse(line)
    if (mount === undefined) continue
    const { point } = mount
    const isInside = point === "/" || path === point || path.startsWith(`${point}/`)
    // A later mount on the same point hides an earlier one.
    if (isInside && point.length >= (best?.point.length ?? 0)) best = mount
  }
  return best
}
