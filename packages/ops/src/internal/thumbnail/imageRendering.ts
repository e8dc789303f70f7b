/**
 * Makes small pictures of a large one.
 *
 * It is decoded once, as small as the decoder can for the largest size that is asked for; the others are made of that.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Metadata, Sharp, SharpOptions } from "sharp"
import { type Format, sizeOf, type ThumbnailVariant } from "../../ThumbnailVariant.ts"

/** An image of more pixels is not decoded: 4 bytes for each may be in memory at once. */
const maxPixels = 2 ** 28

/** What sharp's module is. */
export type Decoder = (input: Uint8Array, options: SharpOptions) => Sharp

/** Loads the decoder. It takes some time, and a process of its own. */
export const load: Effect.Effect<Decoder> = Effect.map(Effect.promise(() => import("sharp")), ({ default: sharp }) => {
  // As many processes as there are cores decode, each one image at a time, and none of them twice.
  sharp.concurrency(1)
  sharp.cache(false)
  return sharp
})

/** Why an image can't be rendered. */
export class Unrendered extends Data.TaggedError("Unrendered")<{
  readonly code: "Corrupt" | "Truncated" | "TooLarge" | "Unsupported"
  readonly why: string
}> {}

export interface Picture {
  readonly variant: ThumbnailVariant
  readonly bytes: Uint8Array
}

// A format is known by how the file begins: one that the decoder does not take for such an image either is broken.
const classes = [
  [/pixel limit/i, "TooLarge"],
  [/premature end|truncated|unexpected end/i, "Truncated"],
  [
    new RegExp(
      "decoding plugin|not been built|compression|not (?:supported|implemented|configured)|" +
        "unsupported (?!image format)|can ?not handle|not a whole number of bytes|bad labq|no known route",
      "i"
    ),
    "Unsupported"
  ]
] as const

/** Lines of which one tells what is wrong, and others how a decoder went about it. */
const noise = /^source: bad seek|Unknown (?:pseudo-)?tag/

const unrendered = (error: unknown): Unrendered => {
  const text = error instanceof Error ? error.message : String(error)
  const lines = text.replace(/^Input \w+ has corrupt header: /, "").split("\n").map((line) => line.trim())
  // A decoder says the same thing each time it begins anew.
  const said = new Set(lines.filter((line) => line !== "" && !noise.test(line)))
  const why = [...said].join("; ").replace(/[.:]$/, "")
  return new Unrendered({ code: classes.find(([pattern]) => pattern.test(why))?.[1] ?? "Corrupt", why })
}

/**
 * Nothing stops a decoder but the end of its process. So it is waited for: whoever is interrupted while it is at work
 * has not given its process back, which then is ended, and is not left with ever more decoders that hang.
 */
const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, Unrendered> =>
  Effect.uninterruptible(Effect.tryPromise({ try: run, catch: unrendered }))

const options: SharpOptions = { limitInputPixels: maxPixels, failOn: "error", pages: 1 }

const inside = (sidePixels: number) =>
  ({ width: sidePixels, height: sidePixels, fit: "inside", withoutEnlargement: true }) as const

/** What is done with an image that it does not show by itself. */
const notesOf = (
  { depth, format, height, orientation = 1, pages = 1, space, width }: Metadata,
  variants: ReadonlyArray<ThumbnailVariant>
): ReadonlyArray<string> => {
  const small = variants.filter((variant) => sizeOf(variant).sidePixels > Math.max(width, height))
  return [
    ...pages > 1 ? [format === "tiff" ? `first of ${pages} pages` : `first of ${pages} frames`] : [],
    ...space === "cmyk" ? ["converted from CMYK to sRGB"] : [],
    ...depth === "uchar" ? [] : [depth === "ushort" ? "reduced from 16 bits to 8" : `reduced from ${depth} to 8 bits`],
    ...orientation > 1 ? ["turned upright"] : [],
    ...small.length > 0 ? [`not enlarged to ${small.join(", ")}: it has ${width} x ${height} pixels`] : []
  ]
}

/** Whether there is nothing to see in some place. */
const hasHoles = (data: Uint8Array, channels: number): boolean => {
  if (channels < 4) return false
  for (let alpha = 3; alpha < data.length; alpha += 4) if (data[alpha] === 0) return true
  return false
}

/**
 * Fails where a decoder has left blank what it could not decode. That of TIFF does so with tiles, and tells it only if
 * it is to tell of everything, of which most does no harm. And numbers of no certain range may all be black or white.
 */
const refuseBlank = Effect.fnUntraced(function*(
  decoder: Decoder,
  image: Uint8Array,
  { depth, format }: Metadata,
  data: Uint8Array,
  channels: number
) {
  if (format !== "tiff") return
  if (hasHoles(data, channels)) {
    yield* attempt(() => decoder(image, { ...options, failOn: "warning" }).resize(inside(1)).raw().toBuffer()).pipe(
      // That was decoded nevertheless.
      Effect.catchIf(({ why }) => why.startsWith("Warning treated as error"), () => Effect.void)
    )
  }
  const isUniform = () => data.every((value, index) => value === data[index % channels])
  if (depth !== "uchar" && depth !== "ushort" && isUniform()) {
    return yield* new Unrendered({ code: "Unsupported", why: `nothing is to be seen of its samples of ${depth}` })
  }
})

const encoders: Readonly<Record<Format, (image: Sharp, quality: number) => Sharp>> = {
  webp: (image, quality) => image.webp({ quality }),
  avif: (image, quality) => image.avif({ quality }),
  jpeg: (image, quality) => image.flatten({ background: "white" }).jpeg({ quality })
}

/** Renders an image in some sizes. */
export const render = Effect.fnUntraced(function*(
  decoder: Decoder,
  image: Uint8Array,
  variants: ReadonlyArray<ThumbnailVariant>,
  format: Format
) {
  const metadata = yield* attempt(() => decoder(image, options).metadata())
  const { height, width } = metadata
  if (width * height > maxPixels) {
    const why = `it has ${width} x ${height} pixels, and more than ${maxPixels} are not decoded`
    return yield* new Unrendered({ code: "TooLarge", why })
  }
  const largest = Math.max(...variants.map((variant) => sizeOf(variant).sidePixels))
  const { data, info: { channels, height: decodedHeight, width: decodedWidth } } = yield* attempt(() =>
    decoder(image, options).autoOrient().resize(inside(largest)).toColourspace("srgb").raw()
      .toBuffer({ resolveWithObject: true })
  )
  yield* refuseBlank(decoder, image, metadata, data, channels)
  const raw = { width: decodedWidth, height: decodedHeight, channels }
  const pictures = yield* Effect.forEach(variants, (variant) => {
    const { quality, sidePixels } = sizeOf(variant)
    const resized = decoder(data, { raw }).resize(inside(sidePixels))
    return Effect.map(attempt(() => encoders[format](resized, quality).toBuffer()), (bytes) => ({ variant, bytes }))
  })
  return { pictures, notes: notesOf(metadata, variants) }
})
