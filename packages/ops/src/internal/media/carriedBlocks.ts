/**
 * What a picture carries beside its pixels, wherever it keeps that.
 */
import type * as Effect from "effect/Effect"
import type { FilesError } from "../../FilesError.ts"
import type { Fault, Source } from "./byteSource.ts"
import type { Tiff } from "./tiff.ts"

/** What was found in a file. */
export interface Carried {
  width?: number | undefined
  height?: number | undefined
  exif?: Tiff
  /** XMP packet. */
  xmp?: Uint8Array
  /** IPTC data sets. */
  iptc?: Uint8Array
  /** Texts by their keywords. */
  readonly texts: Map<string, string>
  /** What is broken, or was left out. */
  readonly problems: Set<string>
}

/** Takes what a file carries. A fault is of what is behind what was found until then. */
export type Walk = (source: Source, carried: Carried) => Effect.Effect<void, FilesError | Fault>

/** Most bytes of one piece of metadata. */
export const mostBlockBytes = 2 ** 20

/** What a JPEG, and sometimes a WebP, has before EXIF. */
export const exifHead = "Exif\0\0"
