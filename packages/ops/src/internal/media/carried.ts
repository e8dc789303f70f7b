/**
 * What a picture carries beside its pixels, wherever it keeps that.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import type { Fault } from "./source.ts"
import type { Tiff } from "./tiff.ts"

/** What was found in a file; nothing of it has been read yet but its structure. */
export interface Carried {
  width?: number
  height?: number
  /** EXIF, made anew of what is sound of it. */
  exif?: Tiff
  /** XMP packet. */
  xmp?: Uint8Array
  /** IPTC data sets. */
  iptc?: Uint8Array
  /** Texts by their keywords. */
  readonly texts: Array<readonly [keyword: string, text: string]>
  /** What is broken, or was left out. */
  readonly problems: Array<string>
}

export const nothingCarried = (): Carried => ({ texts: [], problems: [] })

/** Whether there is anything. */
export const isEmpty = ({ exif, iptc, texts, width, xmp }: Carried): boolean =>
  width === undefined && exif === undefined && xmp === undefined && iptc === undefined && texts.length === 0

/** Most bytes of one piece of metadata. */
export const mostBlockBytes = 2 ** 20

/** Notes what is broken as a problem of what was found until then. */
export const noting = (
  { problems }: Carried,
  walk: Effect.Effect<void, FilesError | Fault>
): Effect.Effect<void, FilesError | Fault> =>
  Effect.catchTag(walk, "Fault", (fault) => {
    if (fault.code !== "Malformed") return Effect.fail(fault)
    problems.push(fault.why)
    return Effect.void
  })
