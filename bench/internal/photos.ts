// Photos as a camera writes them: the structure of a JPEG, and noise in the place of pixels.
import { noise } from "./trees.ts"

const text = (value: string): Buffer => Buffer.from(`${value}\0`)

const short = (...values: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(2 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index)
  return bytes
}

const long = (...values: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index)
  return bytes
}

type Tag = readonly [tag: number, type: 2 | 3 | 4 | 5 | 7, value: Buffer]

const sizes = { 2: 1, 3: 2, 4: 4, 5: 8, 7: 1 } as const

/** A directory at this place, with its values behind it. */
const directory = (start: number, tags: ReadonlyArray<Tag>, next = 0): Buffer => {
  const values: Array<Buffer> = []
  let at = start + 6 + 12 * tags.length
  const entries = tags.map(([tag, type, value]) => {
    const head = Buffer.concat([short(tag, type), long(value.length / sizes[type])])
    if (value.length <= 4) return Buffer.concat([head, value, Buffer.alloc(4 - value.length)])
    const padded = Buffer.concat([value, Buffer.alloc(value.length % 2)])
    values.push(padded)
    at += padded.length
    return Buffer.concat([head, long(at - padded.length)])
  })
  return Buffer.concat([short(tags.length), ...entries, long(next), ...values])
}

const two = (value: number): string => String(value).padStart(2, "0")

const tagsOf = (number: number) => {
  const time = `2024:${two(1 + number % 12)}:${two(1 + number % 28)} ${two(number % 24)}:${two(number % 60)}:30`
  const first: ReadonlyArray<Tag> = [
    [0x010e, 2, text(`Photo ${number}`)],
    [0x010f, 2, text("Canon")],
    [0x0110, 2, text("Canon EOS R5")],
    [0x0112, 3, short(1 + number % 8)],
    [0x011a, 5, long(72, 1)],
    [0x011b, 5, long(72, 1)],
    [0x0128, 3, short(2)],
    [0x0131, 2, text("Firmware 1.8.1")],
    [0x0132, 2, text(time)],
    [0x013b, 2, text("Somebody")],
    [0x8298, 2, text("All rights reserved")]
  ]
  const exif: ReadonlyArray<Tag> = [
    [0x829a, 5, long(1, 60 + number % 500)],
    [0x829d, 5, long(28, 10)],
    [0x8822, 3, short(2)],
    [0x8827, 3, short(100 + number % 3200)],
    [0x9000, 7, Buffer.from("0231")],
    [0x9003, 2, text(time)],
    [0x9004, 2, text(time)],
    [0x9010, 2, text("+02:00")],
    [0x9011, 2, text("+02:00")],
    [0x9201, 5, long(6, 1)],
    [0x9202, 5, long(3, 1)],
    [0x9207, 3, short(5)],
    [0x9209, 3, short(16)],
    [0x920a, 5, long(50, 1)],
    [0x927c, 7, noise(8192)],
    [0x9291, 2, text("25")],
    [0xa001, 3, short(1)],
    [0xa002, 4, long(8192)],
    [0xa003, 4, long(5464)],
    [0xa402, 3, short(0)],
    [0xa432, 5, long(50, 1, 50, 1, 18, 10, 18, 10)],
    [0xa434, 2, text("RF50mm F1.8 STM")]
  ]
  const gps: ReadonlyArray<Tag> = [
    [0x01, 2, text("N")],
    [0x02, 5, long(47, 1, 22, 1, number % 60, 1)],
    [0x03, 2, text("E")],
    [0x04, 5, long(8, 1, 32, 1, number % 60, 1)],
    [0x06, 5, long(408, 1)],
    [0x07, 5, long(10, 1, 30, 1, 0, 1)],
    [0x1d, 2, text(time.slice(0, 10))]
  ]
  return { exif, first, gps }
}

const structure = (number: number): Buffer => {
  const { exif, first, gps } = tagsOf(number)
  const linked = (exifAt: number, gpsAt: number): ReadonlyArray<Tag> => [
    ...first,
    [0x8769, 4, long(exifAt)],
    [0x8825, 4, long(gpsAt)]
  ]
  const exifAt = 8 + directory(8, linked(0, 0)).length
  const gpsAt = exifAt + directory(exifAt, exif).length
  const smallAt = gpsAt + directory(gpsAt, gps).length
  const small = noise(6000)
  const picture = (at: number): ReadonlyArray<Tag> => [
    [0x0103, 3, short(6)],
    [0x0201, 4, long(at)],
    [0x0202, 4, long(small.length)]
  ]
  const pictureAt = smallAt + directory(smallAt, picture(0)).length
  return Buffer.concat([
    Buffer.from("MM\0*"),
    long(8),
    directory(8, linked(exifAt, gpsAt), smallAt),
    directory(exifAt, exif),
    directory(gpsAt, gps),
    directory(smallAt, picture(pictureAt)),
    small
  ])
}

const packet = (number: number): string =>
  "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">" +
  "<rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" " +
  `xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="${number % 6}">` +
  `<dc:subject><rdf:Bag><rdf:li>one</rdf:li><rdf:li>photo ${number}</rdf:li></rdf:Bag></dc:subject>` +
  "</rdf:Description></rdf:RDF></x:xmpmeta>"

const segment = (marker: number, ...content: ReadonlyArray<Buffer>): Buffer => {
  const bytes = Buffer.concat(content)
  return Buffer.concat([short(0xff00 | marker, bytes.length + 2), bytes])
}

/** A photo, which differs from those of other numbers. */
export const makePhoto = (number: number): Buffer =>
  Buffer.concat([
    short(0xffd8),
    segment(0xe1, Buffer.from("Exif\0\0"), structure(number)),
    segment(0xe1, Buffer.from("http://ns.adobe.com/xap/1.0/\0"), Buffer.from(packet(number))),
    segment(0xc0, Buffer.from([8]), short(5464, 8192), Buffer.from([1, 1, 0x11, 0])),
    segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])),
    noise(20_000),
    short(0xffd9)
  ])
