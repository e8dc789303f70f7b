/**
 * What a picture carries beside its pixels, wherever it keeps that.
 */
import * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import type { Fault, Source } from "./source.ts"
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

/** Whether there is anything. */
export const isEmpty = ({ exif, iptc, texts, width, xmp }: Carried): boolean =>
  width === undefined && exif === undefined && xmp === undefined && iptc === undefined && texts.length === 0

/** Most bytes of one piece of metadata. */
export const mostBlockBytes = 2 ** 20

/** Gives what a walk finds. What is broken is a problem of what was found until then. */
export const readBy =
  (walk: (source: Source, carried: Carried) => Effect.Effect<void, FilesError | Fault>) =>
  (source: Source): Effect.Effect<Carried, FilesError | Fault> =>
    Effect.suspend(() => {
      const carried: Carried = { texts: [], problems: [] }
      return Effect.catchTag(Effect.as(walk(source, carried), carried), "Fault", (fault) => {
        if (fault.code !== "Malformed") return Effect.fail(fault)
        carried.problems.push(fault.why)
        return Effect.succeed(carried)
      })
    })
