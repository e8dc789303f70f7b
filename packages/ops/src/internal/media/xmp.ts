/**
 * Reads the properties of an XMP packet.
 *
 * Packets are read once, from the start to the end, by no more than what XMP needs of XML: elements, attributes and
 * text. There are no entities but those of XML itself, so that nothing can grow.
 */

/** Properties by their names with the usual prefix, such as `dc:title`; each has all of its values. */
export type Properties = ReadonlyMap<string, ReadonlyArray<string>>

const mostProperties = 1024
const mostDepth = 64

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'" }

const unescaped = (text: string): string =>
  text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[String(name)] ?? ""
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal)
    const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
    return isCharacter ? String.fromCodePoint(code) : whole
  })

/** Parts of RDF itself, which stand between a property and its values. */
const isPart = (name: string): boolean => /^rdf:(?:RDF|Seq|Bag|Alt|li|Description)$/.test(name)

const isProperty = (name: string): boolean => name.includes(":") && !/^(?:xmlns|xml|rdf|x):/.test(name)

class Reading {
  readonly properties = new Map<string, Array<string>>()
  private readonly open: Array<string> = []
  private count = 0

  /** Name of the property that this is in: the outermost one. */
  private get property(): string | undefined {
    return this.open.find((name) => !isPart(name) && isProperty(name))
  }

  private add(name: string, value: string): void {
    const text = unescaped(value).trim()
    if (text === "" || this.count >= mostProperties) return
    this.count++
    const values = this.properties.get(name)
    if (values === undefined) this.properties.set(name, [text])
    else values.push(text)
  }

  text(value: string): void {
    const { property } = this
    if (property !== undefined) this.add(property, value)
  }

  /** Takes a tag, without its brackets. Gives whether it goes on. */
  tag(inner: string): boolean {
    if (inner.startsWith("/")) {
      this.open.pop()
      return true
    }
    const name = /^[^\s/>]+/.exec(inner)?.[0] ?? ""
    const { property } = this
    for (const [, attribute = "", quoted = ""] of inner.slice(name.length).matchAll(attributes)) {
      // Those of a structure in a property are values of that.
      if (isProperty(attribute)) this.add(property ?? attribute, quoted.slice(1, -1))
    }
    if (!inner.endsWith("/")) this.open.push(name)
    return this.open.length <= mostDepth
  }
}

const attributes = /([^\s=<>"'/]{1,128})\s?=\s?("[^"]*"|'[^']*')/g

/** Where a tag ends: a bracket in quotes is none. */
const endOfTag = (text: string, start: number): number => {
  let quote = ""
  for (let at = start; at < text.length; at++) {
    const character = text[at] ?? ""
    if (quote !== "") quote = character === quote ? "" : quote
    else if (character === "\"" || character === "'") quote = character
    else if (character === ">") return at
  }
  return -1
}

/** What stands between `<!--` or `<![CDATA[` and its end, and where it goes on. */
const skipped = [["<!--", "-->"], ["<![CDATA[", "]]>"], ["<?", "?>"], ["<!", ">"]] as const

/** Reads a packet as far as it is sound. */
export const readXmp = (packet: Uint8Array): Properties => {
  const text = new TextDecoder().decode(packet)
  const reading = new Reading()
  for (let at = 0; at < text.length;) {
    const open = text.indexOf("<", at)
    if (open === -1) break
    if (open > at) reading.text(text.slice(at, open))
    const special = skipped.find(([start]) => text.startsWith(start, open))
    const end = special === undefined ? endOfTag(text, open + 1) : text.indexOf(special[1], open + special[0].length)
    if (end === -1) break
    if (special?.[0] === "<![CDATA[") reading.text(text.slice(open + special[0].length, end).replaceAll("&", "&amp;"))
    if (special === undefined && !reading.tag(text.slice(open + 1, end))) break
    at = end + (special?.[1].length ?? 1)
  }
  return reading.properties
}
