/**
 * Makes a record of what a picture carries.
 *
 * EXIF and IPTC are read by exifr, which is given structures that are sound. Its reader of XMP is not used: a hostile
 * packet makes it write to the prototypes of this thread, and take the square of its length.
 */
import * as Effect from "effect/Effect"
import exifr from "exifr"
import type { MediaRecord } from "../../MediaRecord.ts"
import type { Carried } from "./carried.ts"
import type { Kind } from "./kinds.ts"
import { rawOf } from "./raw.ts"
import * as times from "./times.ts"
import { between, count, decoded, fieldsOf, first, positive, problemsOf, recordOf, text, texts } from "./values.ts"
import { type Properties, readXmp, type Xmp } from "./xmp.ts"

// oxlint-disable-next-line import/no-named-as-default-member -- what Node loads is CommonJS, without names
const { parse, segmentParsers } = exifr

/** One object for all: exifr works it out once. */
const options = {
  tiff: true,
  ifd0: {},
  exif: true,
  gps: true,
  ifd1: false,
  interop: false,
  xmp: false,
  iptc: false,
  icc: false,
  jfif: false,
  userComment: true,
  mergeOutput: false,
  sanitize: true,
  translateKeys: true,
  translateValues: false,
  reviveValues: false
}

type Tags = Readonly<Record<string, unknown>>

interface Exif {
  readonly ifd0: Tags
  readonly exif: Tags
  readonly gps: Tags
  readonly problems: ReadonlyArray<string>
}

const noExif: Exif = { ifd0: {}, exif: {}, gps: {}, problems: [] }

const reasonOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

const readExif = (bytes: Uint8Array): Effect.Effect<Exif> =>
  Effect.tryPromise({
    try: async () => {
      const { errors, exif, gps, ifd0 } = fieldsOf(await parse(bytes, options))
      const problems = Array.isArray(errors) ? errors.map((error) => `EXIF: ${reasonOf(error)}`) : []
      return { ifd0: fieldsOf(ifd0), exif: fieldsOf(exif), gps: fieldsOf(gps), problems }
    },
    catch: reasonOf
  }).pipe(Effect.catch((reason) => Effect.succeed({ ...noExif, problems: [`EXIF: ${reason}`] })))

interface Iptc {
  readonly tags: Tags
  readonly problems: ReadonlyArray<string>
}

const noIptc: Iptc = { tags: {}, problems: [] }
const noXmp: Xmp = { properties: new Map(), problems: [] }

const readIptc = (bytes: Uint8Array): Effect.Effect<Iptc> =>
  Effect.try({
    try: (): Iptc => {
      const parser: { readonly parse: (bytes: Uint8Array) => unknown } = segmentParsers.get("iptc")
      const found = Object.entries(fieldsOf(parser.parse(bytes)))
      return { tags: Object.fromEntries(found.map(([name, value]) => [name, decoded(value)])), problems: [] }
    },
    // It reads data sets as long as they claim to be.
    catch: reasonOf
  }).pipe(Effect.catch((reason) => Effect.succeed({ ...noIptc, problems: [`IPTC: ${reason}`] })))

// --- Fields ---------------------------------------------------------------------------------------------------------

interface Sources extends Exif {
  readonly iptc: Tags
  readonly xmp: Properties
  readonly texts: ReadonlyMap<string, string>
}

const takenAt = ({ exif, iptc, texts, xmp }: Sources): string | undefined =>
  first(
    times.ofExif(exif["DateTimeOriginal"], exif["SubSecTimeOriginal"], exif["OffsetTimeOriginal"]),
    times.ofExif(exif["CreateDate"], exif["SubSecTimeDigitized"], exif["OffsetTimeDigitized"]),
    ...["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"].map((name) =>
      times.ofIso(xmp.get(name)?.[0])
    ),
    times.ofIptc(iptc["DateCreated"], iptc["TimeCreated"]),
    times.ofIso(texts.get("Creation Time")),
    times.ofExif(texts.get("Creation Time"))
  )

const camera = ({ exif, ifd0, texts, xmp }: Sources) => ({
  cameraMake: first(text(ifd0["Make"]), text(xmp.get("tiff:Make")?.[0])),
  cameraModel: first(text(ifd0["Model"]), text(xmp.get("tiff:Model")?.[0])),
  lensModel: first(
    text(exif["LensModel"]),
    ...["exifEX:LensModel", "aux:Lens"].map((name) => text(xmp.get(name)?.[0]))
  ),
  software: first(text(ifd0["Software"]), text(xmp.get("xmp:CreatorTool")?.[0]), text(texts.get("Software"))),
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
    gpsAt: times.ofGps(gps["GPSDateStamp"], gps["GPSTimeStamp"])
  }
}

const description = ({ exif, ifd0, iptc, texts: keyed, xmp }: Sources) => ({
  title: first(text(xmp.get("dc:title")?.[0]), text(iptc["ObjectName"]), text(keyed.get("Title"))),
  description: first(
    text(xmp.get("dc:description")?.[0]),
    text(iptc["Caption"]),
    text(ifd0["ImageDescription"]),
    text(keyed.get("Description")),
    text(exif["UserComment"])
  ),
  artists: first(
    texts(xmp.get("dc:creator") ?? []),
    texts(iptc["Byline"]),
    texts(ifd0["Artist"]),
    texts(keyed.get("Author"))
  ),
  copyright: first(
    // That of the photographer, a zero, and that of the editor.
    text(typeof ifd0["Copyright"] === "string" ? ifd0["Copyright"].replaceAll(/ *\0/g, "\n") : undefined),
    text(xmp.get("dc:rights")?.[0]),
    text(iptc["CopyrightNotice"]),
    text(keyed.get("Copyright"))
  ),
  keywords: texts(xmp.get("dc:subject") ?? [], iptc["Keywords"]),
  rating: first(between(xmp.get("xmp:Rating")?.[0], -1, 5), between(ifd0["Rating"], 0, 5))
})

const size = ({ exif: tiff, height, width }: Carried, { exif }: Sources) => ({
  width: count(first(width, tiff?.width, count(exif["ExifImageWidth"]))),
  height: count(first(height, tiff?.height, count(exif["ExifImageHeight"])))
})

/** Record of a picture. */
export const pictureRecord = Effect.fnUntraced(function*(
  { mimeType }: Kind,
  sizeBytes: number,
  carried: Carried,
  isRaw: boolean
) {
  const exif = carried.exif === undefined ? noExif : yield* readExif(carried.exif.bytes)
  const packet = carried.xmp ?? carried.exif?.xmp
  const datasets = carried.iptc ?? carried.exif?.iptc
  const { problems: xmpProblems, properties: xmp } = packet === undefined ? noXmp : readXmp(packet)
  const { problems, tags: iptc } = datasets === undefined ? noIptc : yield* readIptc(datasets)
  const sources: Sources = { ...exif, iptc, xmp, texts: new Map(carried.texts) }
  const raw = { ifd0: exif.ifd0, exif: exif.exif, gps: exif.gps, iptc, xmp, texts: sources.texts }
  const record: MediaRecord = recordOf({
    mimeType,
    sizeBytes,
    ...size(carried, sources),
    orientation: between(count(first(exif.ifd0["Orientation"], xmp.get("tiff:Orientation")?.[0])), 1, 8),
    takenAt: takenAt(sources),
    modifiedAt: first(
      times.ofExif(exif.ifd0["ModifyDate"], exif.exif["SubSecTime"], exif.exif["OffsetTime"]),
      times.ofIso(xmp.get("xmp:ModifyDate")?.[0])
    ),
    ...camera(sources),
    ...place(sources),
    ...description(sources),
    problems: problemsOf([...carried.problems, ...exif.problems, ...xmpProblems, ...problems]),
    raw: isRaw ? rawOf(raw) : undefined
  })
  return record
})
