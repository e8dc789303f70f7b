/**
 * Says in what two files or folders differ.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"
import { FileKind } from "./Files.ts"
import { FilesError } from "./FilesError.ts"
import { Held, Side } from "./internal/verify/pairTree.ts"
import { ChecksumAlgorithm } from "./ObjectStore.ts"

const only = { kind: FileKind, held: Schema.OptionFromOptional(Held) }

/**
 * Schema for a property that differs, with both values as they are written.
 *
 * @category schemas
 */
export const Property = Schema.Struct({
  name: Schema.Literals(["mode", "owner", "group", "modified"]),
  a: Schema.String,
  b: Schema.String
})
export type Property = typeof Property.Type

/**
 * Schema for a difference.
 *
 * **Details**
 *
 * - `Missing`, `Extra`: only A has it, only B has it.
 * - `Kind`, `Size`, `Content`, `Checksum`, `Target`: both have it, and it is not the same. `Content` differs from the
 *   byte `at` on, counted from 0; `Checksum` is what an object store keeps of it; `Target` is what a link leads to.
 * - `Metadata`: it is the same but for these properties.
 * - `Changed`: it changed while it was compared, so nothing is known.
 * - `Unreadable`: it can't be read in one of them, so nothing is known.
 *
 * @category schemas
 */
export const Difference = Schema.TaggedUnion({
  Missing: only,
  Extra: only,
  Kind: { a: FileKind, b: FileKind },
  Size: { a: Schema.Natural, b: Schema.Natural },
  Content: { at: Schema.Natural },
  Checksum: { algorithm: ChecksumAlgorithm, a: Schema.String, b: Schema.String },
  Target: { a: FilePath.FilePath, b: FilePath.FilePath },
  Metadata: { properties: Schema.NonEmptyArray(Property) },
  Changed: { side: Side },
  Unreadable: { side: Side, error: FilesError }
})
export type Difference = typeof Difference.Type

/**
 * Schema for what sort of difference it is.
 *
 * @category schemas
 */
export const Code = Schema.Literals(["Missing", "Extra", "Different", "Metadata", "Changed", "Unreadable"])
export type Code = typeof Code.Type

/**
 * Tells the sort of a difference.
 *
 * @category accessors
 */
export const codeOf = ({ _tag }: Difference): Code => {
  switch (_tag) {
    case "Kind":
    case "Size":
    case "Content":
    case "Checksum":
    case "Target":
      return "Different"
    default:
      return _tag
  }
}

const kinds: Readonly<Record<FileKind, string>> = {
  file: "a file",
  link: "a link",
  folder: "a folder",
  special: "neither file, folder nor link"
}

const quoted = (path: FilePath.FilePath): string => `"${FilePath.display(path)}"`

const bytes = (count: number): string => `${count} ${count === 1 ? "byte" : "bytes"}`

const amount = ({ entries, isAll }: Held): string =>
  isAll && entries === 0
    ? "an empty folder"
    : `a folder with ${isAll ? "" : "more than "}${entries} ${entries === 1 ? "entry" : "entries"}`

const what = ({ held, kind }: { readonly kind: FileKind; readonly held: Option.Option<Held> }): string =>
  Option.match(held, { onNone: () => kinds[kind], onSome: amount })

/**
 * Says it to people who know which tree is A and which is B.
 *
 * @category accessors
 */
export const explain = (difference: Difference): string =>
  Difference.match(difference, {
    Missing: (it) => `${what(it)} in A, nothing in B`,
    Extra: (it) => `nothing in A, ${what(it)} in B`,
    Kind: ({ a, b }) => `${kinds[a]} in A, ${kinds[b]} in B`,
    Size: ({ a, b }) => `${bytes(a)} in A, ${bytes(b)} in B`,
    Content: ({ at }) => `differs from byte ${at + 1} on`,
    Checksum: ({ a, algorithm, b }) => `${algorithm} ${a} in A, ${b} in B`,
    Target: ({ a, b }) => `leads to ${quoted(a)} in A, to ${quoted(b)} in B`,
    Metadata: ({ properties }) => properties.map(({ a, b, name }) => `${name} ${a} in A, ${b} in B`).join("; "),
    Changed: ({ side }) => `changed in ${side} while it was compared`,
    Unreadable: ({ error, side }) => `can't be read in ${side}: ${error.message}`
  })

/**
 * Error of an entry that is not the same in both trees, or of which that is not known.
 *
 * @category errors
 */
export class EntryDiffers
  extends Schema.TaggedError<EntryDiffers>("@fanout/ops/VerifyEntry/EntryDiffers")("EntryDiffers", {
    code: Code,
    difference: Difference
  })
{
  override get message(): string {
    return explain(this.difference)
  }
}
