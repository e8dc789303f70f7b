/**
 * Reads the properties of an XMP packet.
 *
 * Packets are read once, from the start to the end, by no more than what XMP needs of XML: elements, attributes and
 * text. There are no entities but those of XML itself, so that nothing can grow.
 */
import { limits } from "../../MediaRecord.ts"

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

/** Usual prefixes by what they stand for. A packet may call them otherwise. */
const prefixes: Readonly<Record<string, string>> = {
  "adobe:ns:meta": "x",
  "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
  "http://www.w3.org/XML/1998/namespace": "xml",
  "http://purl.org/dc/elements/1.1": "dc",
  "http://ns.adobe.com/xap/1.0": "xmp",
  "http://ns.adobe.com/exif/1.0": "exif",
  "http://ns.adobe.com/exif/1.0/aux": "aux",
  "http://cipa.jp/exif/1.0": "exifEX",
  "http://ns.adobe.com/tiff/1.0": "tiff",
  "http://ns.adobe.com/photoshop/1.0": "photoshop"
}

const usual = new Set(Object.values(prefixes))

/** What RDF has itself stands between a property and its values. */
const isProperty = (name: string): boolean => name.includes(":") && !/^(?:xmlns|xml|rdf|x):/.test(name)

/** An element that is open. */
interface Open {
  /** What its attributes declare prefixes to stand for. */
  readonly spaces: ReadonlyMap<string, string>
  /** Name of the property that its content is of: the outermost one. */
  readonly property: string | undefined
  /** Whether its text is what is meant for all who speak none of the other languages. */
  readonly isDefault: boolean
}

class Reading {
  readonly properties = new Map<string, Array<string>>()
  private readonly open: Array<Open> = []

  private add(name: string, value: string, isDefault: boolean): void {
    const text = unescaped(value).trim()
    const values = this.properties.get(name) ?? []
    if (text === "" || values.length === limits.listLength || this.properties.size === mostProperties) return
    if (isDefault) values.unshift(text)
    else values.push(text)
    this.properties.set(name, values)
  }

  /** Name with the usual prefix. Where nothing is declared, prefixes are believed to be these. */
  private named(name: string, own: Open["spaces"], isElement: boolean): string {
    const colon = name.indexOf(":")
    if (colon === -1 && !isElement) return name
    const prefix = name.slice(0, Math.max(colon, 0))
    const local = name.slice(colon + 1)
    const space = own.get(prefix) ?? this.open.findLast(({ spaces }) => spaces.has(prefix))?.spaces.get(prefix)
    if (space === undefined) return name
    const known = prefixes[space.replace(/\/$/, "")]
    if (known !== undefined) return `${known}:${local}`
    return prefix === "" || usual.has(prefix) ? `{${space}}:${local}` : name
  }

  text(value: string): void {
    const { isDefault = false, property } = this.open.at(-1) ?? {}
    if (property !== undefined) this.add(property, value, isDefault)
  }

  /** Takes a tag, without its brackets. Gives whether it goes on. */
  tag(inner: string): boolean {
    if (inner.startsWith("/")) {
      this.open.pop()
      return true
    }
    const name = /^[^\s/>]+/.exec(inner)?.[0] ?? ""
    const given = Array.from(
      inner.slice(name.length).matchAll(attributes),
      ([, attribute = "", quoted = ""]) => [attribute, quoted.slice(1, -1)] as const
    )
    const spaces = new Map(given.flatMap(([attribute, value]) => {
      const declared = /^xmlns(?::(.*))?$/.exec(attribute)
      return declared === null ? [] : [[declared[1] ?? "", unescaped(value)]]
    }))
    const within = this.open.at(-1)?.property
    const element = this.named(name, spaces, true)
    for (const [attribute, value] of given) {
      const property = this.named(attribute, spaces, false)
      // Those of a structure in a property are values of that.
      if (isProperty(property)) this.add(within ?? property, value, false)
    }
    if (inner.endsWith("/")) return true
    this.open.push({
      spaces,
      property: within ?? (isProperty(element) ? element : undefined),
      isDefault: given.some(([attribute, value]) => attribute === "xml:lang" && value === "x-default")
    })
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

/** The encoding of a packet, by its first characters, the first of which may be a mark of the order of bytes. */
const encodingOf = ([first, second]: Uint8Array): string =>
  first === 0 || first === 0xfe ? "utf-16be" : second === 0 || first === 0xff ? "utf-16le" : "utf-8"

/** Reads a packet as far as it is sound. */
export const readXmp = (packet: Uint8Array, problems: Set<string>): Properties => {
  const text = new TextDecoder(encodingOf(packet)).decode(packet)
  const reading = new Reading()
  for (let at = 0, open = text.indexOf("<"); open !== -1; open = text.indexOf("<", at)) {
    if (open > at) reading.text(text.slice(at, open))
    const special = skipped.find(([start]) => text.startsWith(start, open))
    const end = special === undefined ? endOfTag(text, open + 1) : text.indexOf(special[1], open + special[0].length)
    if (end === -1) {
      problems.add("XMP: it ends within a tag")
      break
    }
    if (special?.[0] === "<![CDATA[") reading.text(text.slice(open + special[0].length, end).replaceAll("&", "&amp;"))
    if (special === undefined && !reading.tag(text.slice(open + 1, end))) {
      problems.add(`XMP: it has more than ${mostDepth} elements one in the other`)
      break
    }
    at = end + (special?.[1].length ?? 1)
  }
  return reading.properties
}
