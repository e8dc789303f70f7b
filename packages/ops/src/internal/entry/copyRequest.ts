/**
 * What one file, link or folder is copied by, and what is told of that.
 */
import type { CopyOptions } from "../../CopyOptions.ts"
import type { FilePath } from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Lost } from "../../ProgressUnits.ts"
import type { Place } from "../path/place.ts"

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
  /** Inode of an object that was made, which stands for its content, if the store has told an ETag. */
  readonly made?: bigint
}
