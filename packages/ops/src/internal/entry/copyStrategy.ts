/**
 * The contract between the copy job and the ways in which one thing is copied.
 *
 * Each way is a value of this type, and knows one kind of file. A faster or safer one is another value, put before
 * those that can do the same (`CopyRouter`). Whatever the way, the target is old or new, never half.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Effect from "effect/Effect"
import type { CopyOptions } from "../../CopyOptions.ts"
import type { FilePath } from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Lost } from "../../ProgressUnits.ts"
import type { Place } from "../path/place.ts"
import type { CopyError } from "../steps/copyError.ts"

/** What is to be copied, and to where. */
export interface CopyRequest {
  readonly source: Place

  /** What the source was when it was decided to copy it. */
  readonly stat: Files.FileStat

  readonly target: Place

  /** Name in the target's folder for what is not whole yet; of this job and owner alone. */
  readonly temporary: FilePath

  /** Whether the copy takes the place of what has the name of the target, or fails with `Occupied`. */
  readonly placing: "replace" | "exclusive"

  readonly options: CopyOptions
}

/** How something was copied. */
export interface Copied {
  /** Name of the way that it was copied, which results and output show. */
  readonly strategy: string
  readonly sizeBytes: number
  readonly lost: ReadonlyArray<Lost>
  /** Checksum of the content, if that has passed through and is asked for. */
  readonly digest?: string
}

/** Way to copy one kind of file. */
export interface CopyStrategy {
  /** Whether this is a way for what the source is; nothing is asked of the disk. */
  readonly accepts: (stat: Files.FileStat, options: CopyOptions) => boolean

  /**
   * Copies, with mode and times. Fails with `Unsupported`, having done nothing, where it turns out that this way
   * does not work here. Yields `Lease.check` right before each step that others can see.
   */
  readonly copy: (request: CopyRequest) => Effect.Effect<Copied, CopyError | Interrupted, Files.Files>
}
