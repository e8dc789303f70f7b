/**
 * What the address asks for: `#/jobs?state=Running`, `#/jobs/ID`, `#/jobs/ID/failed?cause=exists`, `#/jobs/ID/log`,
 * `#/schedules`, `#/schedules/NAME`.
 */
import { signal } from "@preact/signals"

/** Parts of a path, and what stands behind its question mark. */
export interface Route {
  readonly parts: ReadonlyArray<string>
  readonly query: URLSearchParams
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const read = (): Route => {
  const [path = "", query = ""] = location.hash.slice(1).split("?", 2)
  const parts = path.split("/").filter((part) => part !== "").map(decoded)
  return { parts: parts.length === 0 ? ["jobs"] : parts, query: new URLSearchParams(query) }
}

export const route = signal(read())

window.addEventListener("hashchange", () => {
  route.value = read()
})

/** Address of a page within this one. What is `null` or empty is left out. */
export const to = (
  parts: ReadonlyArray<string>,
  query: Readonly<Record<string, string | null | undefined>> = {}
): string => {
  const params = Object.entries(query).flatMap(([name, value]) => value ? [[name, value]] : [])
  const path = `#/${parts.map(encodeURIComponent).join("/")}`
  return params.length === 0 ? path : `${path}?${new URLSearchParams(params)}`
}

/** Address of the page that is shown with other filters. */
export const withQuery = ({ parts, query }: Route, changes: Readonly<Record<string, string | null>>): string =>
  to(parts, { ...Object.fromEntries(query), ...changes })

export const go = (address: string): void => {
  location.hash = address
}
