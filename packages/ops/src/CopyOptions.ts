/**
 * Says what a copy keeps of its source beside the content.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Filter from "./Filter.ts"
import type { HashAlgorithm } from "./HashAlgorithm.ts"

/**
 * Schema for what can be kept.
 *
 * **Details**
 *
 * - `mode`: permissions, with lists for access (ACLs). The set-id bits only where the copy has the owner and the group
 *   of the source.
 * - `times`: of modification and of access, to the nanosecond; of files, links and folders.
 * - `owner`: owner and group.
 * - `links`: files with several names are one file in the copy, too.
 * - `xattr`: other extended attributes, of files and folders.
 * - `sparse`: holes.
 *
 * @category schemas
 */
export const Property = Schema.Literals(["mode", "times", "owner", "links", "xattr", "sparse"])
export type Property = typeof Property.Type

/**
 * How a job copies.
 *
 * @category models
 */
export interface CopyOptions {
  readonly keeps: ReadonlySet<Property>

  /** Whether what is copied is on the device before it counts as done. */
  readonly isDurable: boolean

  /** Whether what is copied is read back from the device and compared, before it gets its name. */
  readonly isVerified: boolean

  /** By what the files are hashed whose checksums are told, if they are. */
  readonly checksums: HashAlgorithm | undefined

  /** Whether what links lead to is copied in their place. */
  readonly isFollowing: boolean

  /** What is left out below the sources. */
  readonly rules: ReadonlyArray<Filter.Rule>

  /** Whether sources are removed, or get their place by another name. */
  readonly isMove: boolean
}

/**
 * What is kept by default.
 *
 * @category constructors
 */
export const usual: ReadonlyArray<Property> = ["mode", "times", "sparse"]

/**
 * Reference to how the present job copies.
 *
 * @category services
 */
export const CopyOptions: Context.Reference<CopyOptions> = Context.Reference<CopyOptions>("@fanout/ops/CopyOptions", {
  defaultValue: () => ({
    keeps: new Set(usual),
    isDurable: false,
    isVerified: false,
    checksums: undefined,
    isFollowing: false,
    rules: [],
    isMove: false
  })
})
