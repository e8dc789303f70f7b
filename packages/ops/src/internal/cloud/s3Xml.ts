/**
 * Reads and writes the XML of S3.
 */
import { parseXML } from "./awsLibraries.ts"

export type Element = Readonly<Record<string, unknown>>

const isElement = (value: unknown): value is Element => typeof value === "object" && value !== null

/** The root element, whatever its name. Nothing where the text is no XML, or not all of it. */
export const parseRoot = (text: string): { readonly name: string; readonly root: Element } | undefined => {
  try {
    const [found] = Object.entries<unknown>(parseXML(text))
    if (found === undefined) return undefined
    const [name, root] = found
    return { name, root: isElement(root) ? root : {} }
  } catch {
    return undefined
  }
}

export const textIn = (element: Element, name: string): string | undefined => {
  const value = element[name]
  return typeof value === "string" ? value : undefined
}

/** Elements of a name, of which there may be one alone. */
export const elementsIn = (element: Element, name: string): ReadonlyArray<Element> => {
  const value = element[name]
  return (Array.isArray(value) ? value : [value]).filter(isElement)
}

/** As text of an element. Control characters are in keys, too, and XML 1.0 has no way to write some of them. */
export const escapeXml = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- these are the characters to escape
  text.replaceAll(/[&<>"'\x00-\x1f\x7f]/g, (character) => `&#${character.charCodeAt(0)};`)
