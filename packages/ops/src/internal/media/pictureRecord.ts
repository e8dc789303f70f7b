/**
 * Makes a record of what a picture carries.
 */
import type { MediaRecord } from "../../MediaRecord.ts"
import { latin, u16 } from "./byteSource.ts"
import { rawOf } from "./rawTags.ts"
import { between, count, decoded, first, firstText, positive, problemsOf, recordOf, texts } from "./recordValues.ts"
import * as tagTimes from "./tagTimes.ts"
import { type Carried, named, type Tags, type Tiff } from "./tiff.ts"
import { type Properties, readXmp } from "./xmp.ts"

/** Values of IPTC by the names of their tags, up to what is broken. */
const readIptc = (bytes: Uint8Array, problems: Set<string>): Tags => {
  const found = new Map<number, Array<string>>()
  // Programs write something before them.
  let at = latin(bytes).indexOf("\x1c\x02")
  while (at >= 0 && bytes[at] === 0x1c && bytes[at + 1] === 2) {
    const [tag = 0] = bytes.subarray(at + 2, at + 3)
    const end = at + 5 + u16(bytes, at + 3)
    if (end > bytes.length) {
      problems.add("IPTC: it ends before what it says it has")
      break
    }
    const values = found.get(tag) ?? []
    values.push(decoded(latin(bytes, at + 5, end)))
    found.set(tag, values)
    at = end
  }
  return named("iptc", Array.from(found, ([tag, values]) => [tag, values.length === 1 ? values[0] : values]))
}

// --- Fields ---------------------------------------------------------------------------------------------------------

interface Sources extends Pick<Tiff, "ifd0" | "exif" | "gps"> {
  readonly iptc: Tags
  readonly xmp: Properties
  readonly texts: ReadonlyMap<string, string>
}

const takenAt = ({ exif, iptc, texts, xmp }: Sources): string | undefined =>
  first(
    tagTimes.ofExif(exif["DateTimeOriginal"], exif["SubSecTimeOriginal"], exif["OffsetTimeOriginal"]),
    tagTimes.ofExif(exif["CreateDate"], exif["SubSecTimeDigitized"], exif["OffsetTimeDigitized"]),
    ...["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"].map((name) =>
      tagTimes.ofIso(xmp.get(name)?.[0])
    ),
    tagTimes.ofIptc(iptc["DateCreated"], iptc["TimeCreated"]),
    tagTimes.ofIso(texts.get("Creation Time")),
    tagTimes.ofExif(texts.get("Creation Time"))
  )

const camera = ({ exif, ifd0, texts, xmp }: Sources) => ({
  cameraMake: firstText(ifd0["Make"], xmp.get("tiff:Make")?.[0]),
  cameraModel: firstText(ifd0["Model"], xmp.get("tiff:Model")?.[0]),
  lensModel: firstText(exif["LensModel"], xmp.get("exifEX:LensModel")?.[0], xmp.get("aux:Lens")?.[0]),
  software: firstText(ifd0["Software"], xmp.get("xmp:CreatorTool")?.[0], texts.get("Software")),
  exposureSeconds: positive(exif["ExposureTime"]),
  fNumber: positive(exif["FNumber"]),
  iso: positive(exif["ISO"]),
  focalLength: positive(exif["FocalLength"]),
  focalLengthIn35mm: positive(exif["FocalLengthIn35mmFormat"]),
  flash: typeof exif["Flash"] === "number" ? (exif["Flash"] & 1) === 1 : undefined
})

/** Degrees as XMP writes them: `47,22.5N`. */
const degrees = (value: string | undefined): number | undefined => {
  const match = /^(\d{1,3}),(\d{1,2}(?:\.\d{1,12})?)(?:,(\d{1,2}(?:\.\d{1,12})?))?([NSEW])$/.exec(value ?? "")
  if (match === null) return undefined
  const size = Number(match[1]) + Number(match[2]) / 60 + Number(match[3] ?? 0) / 3600
  return match[4] === "S" || match[4] === "W" ? -size : size
}

/** Height above the sea: the other tag tells whether it is below. */
const altitude = (value: unknown, below: unknown): number | undefined => {
  const size = between(value, 0, 1e6)
  return size !== undefined && between(below, 1, 1) === 1 ? -size : size
}

/** Degrees without what is left of sixtieths: the last digit is a tenth of a millimetre. */
const precise = (value: number): number => Number(value.toFixed(9))

const place = ({ gps, xmp }: Sources) => {
  const latitude = first(between(gps["latitude"], -90, 90), between(degrees(xmp.get("exif:GPSLatitude")?.[0]), -90, 90))
  const longitude = first(
    between(gps["longitude"], -180, 180),
    between(degrees(xmp.get("exif:GPSLongitude")?.[0]), -180, 180)
  )
  const isKnown = latitude !== undefined && longitude !== undefined
  return {
    ...isKnown ? { latitude: precise(latitude), longitude: precise(longitude) } : {},
    altitude: altitude(gps["GPSAltitude"], gps["GPSAltitudeRef"]),
    gpsAt: tagTimes.ofGps(gps["GPSDateStamp"], gps["GPSTimeStamp"])
  }
}

const description = ({ ifd0, iptc, texts: keyed, xmp }: Sources) => ({
  title: firstText(xmp.get("dc:title")?.[0], iptc["ObjectName"], keyed.get("Title")),
  description: firstText(
    xmp.get("dc:description")?.[0],
    iptc["Caption"],
    ifd0["ImageDescription"],
    keyed.get("Description")
  ),
  artists: first(
    ...[xmp.get("dc:creator") ?? [], iptc["Byline"], ifd0["Artist"], keyed.get("Author")].map((value) => texts(value))
  ),
  copyright: firstText(
    // That of the photographer, a zero, and that of the editor.
    typeof ifd0["Copyright"] === "string" ? ifd0["Copyright"].replaceAll(/ *\0/g, "\n") : undefined,
    xmp.get("dc:rights")?.[0],
    iptc["CopyrightNotice"],
    keyed.get("Copyright")
  ),
  keywords: texts(xmp.get("dc:subject") ?? [], iptc["Keywords"]),
  rating: first(between(xmp.get("xmp:Rating")?.[0], -1, 5), between(ifd0["Rating"], 0, 5))
})

/** Record of a picture. */
export const pictureRecord = (mimeType: string, sizeBytes: number, carried: Carried, isRaw: boolean): MediaRecord => {
  const { exif: tiff, height, iptc: datasets = tiff?.iptc, problems, texts, width, xmp: packet = tiff?.xmp } = carried
  const { exif = {}, gps = {}, ifd0 = {} } = tiff ?? {}
  const xmp: Properties = packet === undefined ? new Map() : readXmp(packet, problems)
  const iptc = datasets === undefined ? {} : readIptc(datasets, problems)
  const sources: Sources = { ifd0, exif, gps, iptc, xmp, texts }
  return recordOf({
    mimeType,
    sizeBytes,
    width: count(width ?? exif["ExifImageWidth"]),
    height: count(height ?? exif["ExifImageHeight"]),
    orientation: between(count(first(ifd0["Orientation"], xmp.get("tiff:Orientation")?.[0])), 1, 8),
    takenAt: takenAt(sources),
    modifiedAt: first(
      tagTimes.ofExif(ifd0["ModifyDate"], exif["SubSecTime"], exif["OffsetTime"]),
      tagTimes.ofIso(xmp.get("xmp:ModifyDate")?.[0])
    ),
    ...camera(sources),
    ...place(sources),
    ...description(sources),
    problems: problemsOf(problems),
    raw: isRaw ? rawOf({ ...sources }) : undefined
  })
}
